package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// story prints what happens on its stage. Its chapters return an error if something does not hold.
type story struct {
	*stage
	out    io.Writer
	others []*connection // of users who do not sign out: they are to stay open until a chapter says otherwise
}

func (s *story) introduce() {
	what := "on a redis-server of their own"
	if s.redis == nil {
		what = "on the Redis"
	}
	fmt.Fprintf(s.out, "Two nodes, A and B, %s at %s.\nIn front of them a reverse proxy, %s.\n", what, s.addr, s.origin)
}

// line prints an effect, and how long it took.
func (s *story) line(took time.Duration, format string, args ...any) {
	fmt.Fprintf(s.out, "%10s  %s\n", rounded(took), fmt.Sprintf(format, args...))
}

// note prints a line without a time.
func (s *story) note(format string, args ...any) {
	fmt.Fprintf(s.out, "%10s  %s\n", "", fmt.Sprintf(format, args...))
}

func rounded(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// ends waits until the connections have ended, all of them in one of these ways, and returns when
// the last one did.
func ends(ctx context.Context, connections []*connection, how ...string) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, c := range connections {
		select {
		case e := <-c.end:
			if !slices.Contains(how, e.how) {
				return last, fmt.Errorf("a connection to %s ended with %q, want %q", c.node, e.how, how)
			}
			if e.at.After(last) {
				last = e.at
			}
		case <-ctx.Done():
			return last, fmt.Errorf("%d of %d connections did not end", len(connections)-i, len(connections))
		}
	}
	return last, nil
}

// stay fails if one of the connections has ended.
func stay(connections []*connection) error {
	for _, c := range connections {
		if !c.isOpen() {
			return fmt.Errorf("a connection to %s that should stay open ended with %q", c.node, (<-c.end).how)
		}
	}
	return nil
}

// on returns how many connections a node has.
func on(name string, connections []*connection) (n int) {
	for _, c := range connections {
		if c.node == name {
			n++
		}
	}
	return n
}

var errOneNode = errors.New("all connections are on one node")

// connect opens sockets and streams on nodes that the front chooses.
func (p *person) connect(ctx context.Context, sockets, streams int) (open []*connection, err error) {
	for i := range sockets + streams {
		dial := p.open
		if i >= sockets {
			dial = p.follow
		}
		c, err := dial(ctx, "")
		if err != nil {
			return open, err
		}
		open = append(open, c)
	}
	if on("A", open) == 0 || on("B", open) == 0 {
		return open, errOneNode
	}
	return open, nil
}
