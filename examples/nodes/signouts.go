package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// usersOnBothNodes has two users who stay.
func (s *scenario) usersOnBothNodes(ctx context.Context) error {
	for _, name := range []string{"ann", "bob"} {
		began := time.Now()
		u, node, err := s.signIn(ctx, "", name)
		if err != nil {
			return err
		}
		s.line(time.Since(began), "%s signs in; node %s answers", name, node)
		began = time.Now()
		open, err := u.connect(ctx, 4, 2)
		if err != nil {
			return err
		}
		s.line(time.Since(began), "with that cookie %s opens 4 sockets and 2 streams: %d on A, %d on B", name, on("A", open), on("B", open))
		s.others = append(s.others, open...)
	}
	return nil
}

// rounds of one logout on A each, with a socket on B.
const rounds = 100

func (s *scenario) logout(ctx context.Context) error {
	cas, _, err := s.signIn(ctx, "A", "cas")
	if err != nil {
		return err
	}
	socket, err := cas.open(ctx, "B")
	if err != nil {
		return err
	}
	stream, err := cas.follow(ctx, "B")
	if err != nil {
		return err
	}
	began := time.Now()
	acknowledged, err := cas.do(ctx, "A", "/logout")
	if err != nil {
		return err
	}
	last, err := ends(ctx, []*connection{socket, stream}, "3000 revoked")
	if err != nil {
		return err
	}
	s.line(acknowledged, "cas logs out on A")
	s.line(last.Sub(began), "cas's socket and stream on B have ended with 3000 `revoked`")
	if err := cas.expect(ctx, "B", "401 credential_revoked"); err != nil {
		return err
	}
	s.note("the old cookie on B: 401 credential_revoked")
	if err := s.logouts(ctx); err != nil {
		return err
	}
	return stay(s.others)
}

// logouts prints how the times are distributed.
func (s *scenario) logouts(ctx context.Context) error {
	var took []time.Duration
	for i := range rounds {
		u, _, err := s.signIn(ctx, "A", fmt.Sprint("user", i))
		if err != nil {
			return err
		}
		c, err := u.open(ctx, "B")
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := u.do(ctx, "A", "/logout"); err != nil {
			return err
		}
		last, err := ends(ctx, []*connection{c}, "3000 revoked")
		if err != nil {
			return err
		}
		took = append(took, last.Sub(began))
	}
	slices.Sort(took)
	s.line(took[rounds/2], "median of %d such logouts, from the request to the close frame", rounds)
	s.line(took[rounds*99/100-1], "99 of them took at most this long")
	return nil
}

func (s *scenario) everywhere(ctx context.Context) error {
	var open []*connection
	var devices []*user
	for range 3 {
		u, _, err := s.signIn(ctx, "", "dan")
		if err != nil {
			return err
		}
		devices = append(devices, u)
		more, err := u.connect(ctx, 16, 4)
		if err != nil {
			return err
		}
		open = append(open, more...)
	}
	s.note("dan is signed in on three devices, with %d sockets and streams on A and %d on B", on("A", open), on("B", open))
	began := time.Now()
	if _, err := devices[0].do(ctx, "A", "/everywhere"); err != nil {
		return err
	}
	last, err := ends(ctx, open, "3000 revoked")
	if err != nil {
		return err
	}
	s.line(last.Sub(began), "dan signs out everywhere, on A: all %d have ended", len(open))
	for _, u := range devices {
		for _, node := range []string{"A", "B"} {
			if err := u.expect(ctx, node, "401 credential_revoked"); err != nil {
				return err
			}
		}
	}
	s.note("the three cookies on both nodes: 401 credential_revoked")
	return stay(s.others)
}
