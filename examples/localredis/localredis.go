// Package localredis starts a redis-server for examples and their tests.
package localredis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ErrMissing is the error of Start if the PATH has no redis-server.
var ErrMissing = errors.New("no redis-server here; install it with: apt-get install -y --no-install-recommends redis-server")

// Server is a redis-server of this process, on a free port of loopback. It keeps nothing on disk,
// so that it is empty after Kill and Start, and ends with this process.
type Server struct {
	Addr string

	port, dir string
	cmd       *exec.Cmd
	in        io.Closer
}

// New starts a server. Close it at the end.
func New(ctx context.Context) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: l.Addr().String()}
	_ = l.Close()
	if _, s.port, err = net.SplitHostPort(s.Addr); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "localredis"); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start starts the server again, after Kill. A shell in between kills it when this process ends, also by a
// signal.
func (s *Server) Start(ctx context.Context) error {
	cmd := exec.Command("sh", "-c", `redis-server "$@" & read -r _; kill -9 $!; wait`, "sh",
		"--port", s.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--maxmemory-policy", "noeviction", "--dir", s.dir)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.in = cmd, in
	if err := Await(ctx, s.Addr, 20*time.Second); err != nil {
		s.Kill()
		return fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return nil
}

// Kill ends the server by SIGKILL, and returns after it has ended.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.in.Close()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Close ends the server, and removes its directory.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// Await waits until the server at addr answers, for at most the given time. Its error is that of the last
// attempt.
func Await(ctx context.Context, addr string, within time.Duration) error {
	client := goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
