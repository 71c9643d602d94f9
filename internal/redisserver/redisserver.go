// Package redisserver starts a redis-server for tests and examples.
package redisserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/securews/securews/internal/poll"
)

// Install is the command that installs it.
const Install = "apt-get install -y --no-install-recommends redis-server"

// ErrMissing is the error of New if the PATH has no redis-server.
var ErrMissing = errors.New("no redis-server here; install it with: " + Install)

// Server is a redis-server of this process, on a free port of loopback. It keeps nothing on disk
// unless its arguments say so, and ends with this process. It is safe for concurrent use.
type Server struct {
	Addr string // host:port

	dir  string
	args []string

	mu  sync.Mutex
	in  io.Closer
	cmd *exec.Cmd // nil: it does not run
}

// New starts a server with further arguments. Close it at the end.
func New(ctx context.Context, args ...string) (*Server, error) {
	return start(ctx, slices.Concat([]string{"--save", "", "--appendonly", "no"}, args))
}

// NewSentinel starts a sentinel with a configuration, to which it writes.
func NewSentinel(ctx context.Context, config string) (*Server, error) {
	return start(ctx, []string{config, "--sentinel"})
}

func start(ctx context.Context, args []string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: fmt.Sprint("127.0.0.1:", port), args: append(args, "--port", fmt.Sprint(port), "--bind", "127.0.0.1")}
	if s.dir, err = os.MkdirTemp("", "redisserver"); err != nil {
		return nil, err
	}
	s.args = append(s.args, "--dir", s.dir)
	if err := s.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start starts the server again, after Kill. A shell in between kills it when this process ends,
// also by a signal.
func (s *Server) Start(ctx context.Context) error {
	cmd := exec.Command("sh", append([]string{"-c", `redis-server "$@" & read -r _; kill -9 $!; wait`, "sh"}, s.args...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.in, s.cmd = in, cmd
	s.mu.Unlock()
	if err := Await(ctx, s.Addr, 30*time.Second); err != nil {
		s.Kill()
		return fmt.Errorf("redis-server: %w: %s", err, output.Bytes())
	}
	return nil
}

// Kill ends the server by SIGKILL, and returns after it has ended.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.in.Close()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Restart kills the server and starts it again, empty; in a Cluster it keeps its place.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	files, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, name := range files {
		if filepath.Base(name) != "nodes.conf" { // its place
			_ = os.RemoveAll(name)
		}
	}
	return s.Start(ctx)
}

// Close ends the server, and removes its directory.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// Await waits until the server at addr answers, for at most the given time. Its error is that of
// the last attempt.
func Await(ctx context.Context, addr string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return poll.Until(ctx, func() error { return ping(ctx, addr) })
}

func ping(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	const pong = "+PONG\r\n"
	answer := make([]byte, len(pong))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if string(answer) != pong {
		return fmt.Errorf("PING is answered with %q", answer)
	}
	return nil
}
