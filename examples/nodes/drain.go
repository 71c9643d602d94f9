package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// returning is a client that comes back by itself.
type returning struct {
	mu     sync.Mutex
	nodes  []string // in the order of its connections
	causes []string
	opened chan struct{} // gets one for each connection
	failed chan error
}

// returning starts one, which fetches a ticket for each handshake.
func (s *scenario) returning(ctx context.Context, u *user) (*returning, error) {
	c := &returning{opened: make(chan struct{}, 8), failed: make(chan error, 1)}
	source, err := redial.NewTicket(redial.TicketConfig{
		URL: s.origin + "/ticket", HTTPClient: s.client,
		Authorize: func(r *http.Request, _ bool) error {
			r.Header = u.headers("")
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	client, err := redial.New(redial.Config{
		URL: "wss" + s.origin[len("https"):] + "/socket", Origin: s.origin, HTTPClient: s.client,
		Subprotocols: []string{subprotocol}, Credential: source,
		Backoff: redial.Backoff{Spread: time.Second, Max: time.Second},
		OnState: c.changed,
	})
	if err != nil {
		return nil, err
	}
	go func() { c.failed <- client.Run(ctx, c.serve) }()
	return c, c.await(ctx)
}

func (c *returning) changed(state redial.State) {
	if closed, ok := errors.AsType[*ws.CloseError](state.Cause); ok && state.Phase == redial.Waiting {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.causes = append(c.causes, fmt.Sprint(int(closed.Code), " ", closed.Reason))
	}
}

// serve reads the name of the node, and waits for the end.
func (c *returning) serve(_ context.Context, conn *redial.Conn) error {
	_, name, err := conn.Read()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.nodes = append(c.nodes, string(name))
	c.mu.Unlock()
	c.opened <- struct{}{}
	_, _, err = conn.Read()
	return err
}

func (c *returning) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.opened:
		return nil
	case err := <-c.failed:
		return fmt.Errorf("a client ended: %w", err)
	case <-ctx.Done():
		return errors.New("a client did not connect")
	}
}

// history returns the nodes that the client was on, and why its connections ended.
func (c *returning) history() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.nodes, c.causes)
}

func (s *scenario) drain(ctx context.Context) error {
	var onA, onB []*returning
	for i := range 20 {
		u, _, err := s.signIn(ctx, "", fmt.Sprint("lea", i))
		if err != nil {
			return err
		}
		c, err := s.returning(ctx, u)
		if err != nil {
			return err
		}
		if c.history() == "[A] []" {
			onA = append(onA, c)
		} else {
			onB = append(onB, c)
		}
	}
	if len(onA) == 0 || len(onB) == 0 {
		return errOneNode
	}
	s.note("20 clients of ws/redial are connected, %d to A and %d to B", len(onA), len(onB))
	began := time.Now()
	if err := s.b.terminate(); err != nil {
		return err
	}
	if err := s.proxy.await(ctx, "B", false); err != nil {
		return err
	}
	s.line(time.Since(began), "B gets SIGTERM, and the proxy sends it nothing new")
	for _, c := range onB {
		if err := c.await(ctx); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "its %d clients were told 1012 `restart`, spread over %v, and are connected to A", len(onB), drainFor/2)
	if err := s.b.exit(ctx); err != nil {
		return err
	}
	s.line(time.Since(began), "B has ended with exit code 0")
	for _, c := range onB {
		if got := c.history(); got != "[B A] [1012 restart]" {
			return fmt.Errorf("a client of B: %s", got)
		}
	}
	for _, c := range onA {
		if got := c.history(); got != "[A] []" {
			return fmt.Errorf("a client of A: %s", got)
		}
	}
	s.note("the %d clients of A did not notice", len(onA))
	return nil
}
