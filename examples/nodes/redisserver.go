package main

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

// patience bounds one step of the story.
const patience = 20 * time.Second

// redisServer is a redis-server of this program.
type redisServer struct {
	addr, port, dir string
	cmd             *exec.Cmd
	in              io.Closer
}

var errNoRedis = errors.New(`no redis-server here; install it with: apt-get install -y --no-install-recommends redis-server
or name one that runs already: go run ./examples/nodes -redis host:port`)

func startRedis(ctx context.Context) (*redisServer, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errNoRedis
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &redisServer{addr: l.Addr().String()}
	_ = l.Close()
	if _, r.port, err = net.SplitHostPort(r.addr); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "nodes"); err != nil {
		return nil, err
	}
	return r, r.start(ctx)
}

// start starts it without persistence, so that it is empty after a kill. A shell between kills it
// when this program ends, however it ends.
func (r *redisServer) start(ctx context.Context) error {
	cmd := exec.Command("sh", "-c", `redis-server "$@" & read -r _; kill -9 $!; wait`, "sh",
		"--port", r.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--maxmemory-policy", "noeviction", "--dir", r.dir)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd, r.in = cmd, in
	if err := answers(ctx, r.addr, patience); err != nil {
		r.stop()
		return fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return nil
}

// stop is a SIGKILL. It returns after the process has ended.
func (r *redisServer) stop() {
	if r.cmd != nil {
		_ = r.in.Close()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// kill ends it for good.
func (r *redisServer) kill() {
	r.stop()
	_ = os.RemoveAll(r.dir)
}

// answers waits for the server at addr.
func answers(ctx context.Context, addr string, within time.Duration) error {
	client := goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return until(ctx, func() error { return client.Ping(ctx).Err() })
}

// until calls fn until it returns nil, or ctx ends: then it returns the last error of fn.
func until(ctx context.Context, fn func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
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
