package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// patience bounds one wait of the scenario.
const patience = 20 * time.Second

func main() {
	if text := os.Getenv(nodeVariable); text != "" {
		os.Exit(serveNode(text))
	}
	addr := flag.String("redis", "", "use the Redis or Valkey at `host:port`, and do not kill it (default: a redis-server of its own)")
	verbose := flag.Bool("v", false, "print the logs of the nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logs := io.Discard
	if *verbose {
		logs = os.Stderr
	}
	if err := run(ctx, os.Stdout, logs, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// longest is the time after which the scenario is given up.
const longest = 55 * time.Second

// run runs the scenario.
func run(ctx context.Context, out, logs io.Writer, addr string) (err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	d, err := deploy(ctx, logs, addr)
	defer func() { err = errors.Join(err, d.close()) }()
	if err != nil {
		return err
	}
	s := &scenario{deployment: d, out: out}
	s.introduce()
	for _, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Users on both nodes", s.usersOnBothNodes},
		{"A logout on A reaches B", s.logout},
		{"A sign-out everywhere", s.everywhere},
		{"A ticket from A on B", s.tickets},
		{"B is cut off from Redis for 3 s", s.cutOff},
		{"Redis is killed and comes back empty", s.lossOfRedis},
		{"B is drained for an update", s.drain},
	} {
		fmt.Fprintf(out, "\n%s\n", step.title)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("did not hold: %s: %w", step.title, err)
		}
	}
	fmt.Fprintf(out, "\nEverything held, in %.0f s.\n", time.Since(began).Seconds())
	return nil
}
