package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/securews/securews/middleware"
)

// nodeVariable has the settings of a node in JSON. With it, the program is a node.
const nodeVariable = "SECUREWS_EXAMPLE_NODE"

// drainFor is how long the connections of a node have to end.
const drainFor = 4 * time.Second

// serveNode is the process of a node. It prints its address, serves until SIGTERM, and ends with
// the program that started it.
func serveNode(text string) int {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	var set settings
	err := json.Unmarshal([]byte(text), &set)
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", set.Name))
	var s *service
	if err == nil {
		s, err = newService(set)
	}
	var l net.Listener
	if err == nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	srv := middleware.NewServer("", s.handler)
	go func() { _ = srv.Serve(l) }()
	fmt.Println("http://" + l.Addr().String())

	<-terminate
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	if err := s.registry.Shutdown(ctx, srv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// node is a node, seen by the program that started it.
type node struct {
	name    string
	address string // http://host:port
	link    *link  // to Redis
	cmd     *exec.Cmd
	in      io.Closer
	done    chan struct{} // closed when the process has ended
}

// startNode starts this program again.
func startNode(name string, d *deployment, logs io.Writer) (*node, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &node{name: name, cmd: exec.Command(path), done: make(chan struct{})}
	if n.link, err = newLink(d.addr); err != nil {
		return nil, err
	}
	text, err := json.Marshal(settings{
		Name: name, Redis: n.link.listener.Addr().String(), Prefix: d.prefix, Origin: d.origin, Keys: d.tokens.document(),
	})
	if err != nil {
		return nil, err
	}
	n.cmd.Env = append(os.Environ(), nodeVariable+"="+string(text))
	n.cmd.Stderr = logs
	in, errIn := n.cmd.StdinPipe()
	out, errOut := n.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, n.cmd.Start()); err != nil {
		return nil, err
	}
	n.in = in
	line, _ := bufio.NewReader(out).ReadString('\n')
	n.address = strings.TrimSpace(line)
	go func() {
		_ = n.cmd.Wait()
		close(n.done)
	}()
	if n.address == "" {
		n.kill()
		return nil, errors.New("node " + name + " did not start: run with -v for its log")
	}
	return n, nil
}

// terminate has the node drain.
func (n *node) terminate() error { return n.cmd.Process.Signal(syscall.SIGTERM) }

// exit waits for the end of the process.
func (n *node) exit(ctx context.Context) error {
	select {
	case <-n.done:
		if code := n.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("node %s ended with exit code %d", n.name, code)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node %s did not end", n.name)
	}
}

func (n *node) kill() {
	_ = n.in.Close()
	_ = n.cmd.Process.Kill()
	<-n.done
	_ = n.link.listener.Close()
}
