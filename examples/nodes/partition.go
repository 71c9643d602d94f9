package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// cutFor is how long B is cut off.
const cutFor = 3 * time.Second

func (s *scenario) cutOff(ctx context.Context) error {
	var users []*user
	var open []*connection
	for i := range 20 {
		u, _, err := s.signIn(ctx, "A", fmt.Sprint("fay", i))
		if err != nil {
			return err
		}
		c, err := u.open(ctx, "B")
		if err != nil {
			return err
		}
		users, open = append(users, u), append(open, c)
	}
	s.b.link.cut()
	began := time.Now()
	for _, u := range users {
		if _, err := u.do(ctx, "A", "/logout"); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "20 users log out on A; B, which has their sockets, cannot hear of it")
	if err := s.refused(ctx, "B", "a handshake on B is refused with 503 and Retry-After", "/ws"); err != nil {
		return err
	}
	if err := s.proxy.await(ctx, "B", false); err != nil {
		return err
	}
	s.line(time.Since(began), "B has told the proxy that it is not ready; new clients go to A")
	select {
	case <-time.After(time.Until(began.Add(cutFor))):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := stay(open); err != nil {
		return err
	}
	s.b.link.heal()
	began = time.Now()
	last, err := ends(ctx, open, "3000 revoked")
	if err != nil {
		return err
	}
	s.line(last.Sub(began), "after healing, all 20 sockets have ended with 3000 `revoked`")
	if err := s.proxy.await(ctx, "B", true); err != nil {
		return err
	}
	s.line(time.Since(began), "after healing, B is ready again")
	return stay(s.others)
}

// refused checks how a node without Redis answers.
func (s *scenario) refused(ctx context.Context, node, what, path string) error {
	u, err := s.withToken("visitor")
	if err != nil {
		return err
	}
	began := time.Now()
	var res answer
	if path == "/ws" {
		if _, res, err = u.dial(ctx, node, path); res.status != 0 {
			err = nil
		}
	} else {
		res, err = u.send(ctx, node, http.MethodPost, path)
	}
	if err != nil {
		return err
	}
	if res.status != http.StatusServiceUnavailable || res.retryAfter == "" {
		return fmt.Errorf("%s on %s without Redis: %s, Retry-After %q", path, node, res, res.retryAfter)
	}
	s.line(time.Since(began), "%s", what)
	return nil
}
