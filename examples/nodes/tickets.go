package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

func (s *scenario) tickets(ctx context.Context) error {
	eve, _, err := s.signIn(ctx, "A", "eve")
	if err != nil {
		return err
	}
	began := time.Now()
	res, err := eve.send(ctx, "A", http.MethodPost, "/ticket")
	if err != nil {
		return err
	}
	ticket, err := ticketOf(res)
	if err != nil {
		return err
	}
	s.line(time.Since(began), "eve's page fetches a ticket from A")
	began = time.Now()
	socket, _, err := eve.dial(ctx, "B", "/socket", subprotocol, ticket)
	if err != nil {
		return err
	}
	s.line(time.Since(began), "with it, a socket is open on B")
	for _, node := range []string{"A", "B"} {
		if _, res, err := eve.dial(ctx, node, "/socket", subprotocol, ticket); res.status != http.StatusUnauthorized {
			return fmt.Errorf("the ticket a second time on %s: %s %w", node, res, err)
		}
	}
	s.note("a second time it is refused with 401, on A and on B")
	began = time.Now()
	if _, err := eve.do(ctx, "A", "/logout"); err != nil {
		return err
	}
	last, err := ends(ctx, []*connection{socket}, "3000 revoked")
	if err != nil {
		return err
	}
	s.line(last.Sub(began), "eve logs out on A: the socket of the ticket has ended, too")
	return nil
}

// ticketOf returns the subprotocol that has the ticket.
func ticketOf(a answer) (string, error) {
	var body struct{ Subprotocol string }
	if err := json.Unmarshal(a.body, &body); err != nil || body.Subprotocol == "" {
		return "", fmt.Errorf("no ticket: %s", a)
	}
	return body.Subprotocol, nil
}
