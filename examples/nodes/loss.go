package main

import (
	"context"
	"slices"
	"time"
)

// lossUsers are the users of the step in which Redis loses everything.
type lossUsers struct {
	loggedOut, revoked, cookie, token         *user
	ofLoggedOut, ofRevoked, ofCookie, ofToken []*connection
}

// signInAll signs them in, and connects each to both nodes.
func (s *scenario) signInAll(ctx context.Context) (users lossUsers, err error) {
	byCookie := func(name string) (*user, error) {
		u, _, err := s.signIn(ctx, "A", name)
		return u, err
	}
	for _, at := range []struct {
		name   string
		signIn func(name string) (*user, error)
		who    **user
		open   *[]*connection
	}{
		{"gus", byCookie, &users.loggedOut, &users.ofLoggedOut},
		{"hal", byCookie, &users.cookie, &users.ofCookie},
		{"ida", s.withToken, &users.revoked, &users.ofRevoked},
		{"jon", s.withToken, &users.token, &users.ofToken},
	} {
		if *at.who, err = at.signIn(at.name); err != nil {
			return users, err
		}
		if *at.open, err = (*at.who).connect(ctx, 4, 0); err != nil {
			return users, err
		}
	}
	return users, nil
}

func (s *scenario) lossOfRedis(ctx context.Context) error {
	if s.redis == nil {
		s.note("left out: the Redis is yours")
		return nil
	}
	users, err := s.signInAll(ctx)
	if err != nil {
		return err
	}
	s.note("gus and hal have cookies, ida and jon tokens of an identity provider; each has sockets on both nodes")
	s.b.link.cut()
	if _, err := users.loggedOut.do(ctx, "A", "/logout"); err != nil {
		return err
	}
	if _, err := users.revoked.do(ctx, "A", "/everywhere"); err != nil {
		return err
	}
	s.note("B is cut off; on A gus logs out, and ida revokes all tokens; both are acknowledged")
	s.redis.Kill()
	s.note("Redis is killed (SIGKILL)")
	if err := s.down(ctx, users, time.Now()); err != nil {
		return err
	}
	if err := s.redis.Start(ctx); err != nil {
		return err
	}
	s.b.link.heal()
	return s.empty(ctx, users, time.Now())
}

// down is the part in which Redis does not run.
func (s *scenario) down(ctx context.Context, users lossUsers, began time.Time) error {
	for _, row := range []struct{ what, path string }{
		{"a handshake on A is refused with 503 and Retry-After", "/ws"},
		{"a login on A is refused so, too", "/login?user=kim"},
	} {
		if err := s.refused(ctx, "A", row.what, row.path); err != nil {
			return err
		}
	}
	for _, node := range []string{"A", "B"} {
		if err := s.proxy.await(ctx, node, false); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "after the kill at the latest, the proxy finds neither node ready")
	open := slices.Concat(users.ofCookie, users.ofToken, s.others)
	if err := stay(open); err != nil {
		return err
	}
	s.note("%d sockets and streams of users who have not signed out stay open", len(open))
	return nil
}

// empty is the part in which Redis runs again, without data.
func (s *scenario) empty(ctx context.Context, users lossUsers, began time.Time) error {
	s.note("Redis is started again, empty, and B is connected again")
	last, err := ends(ctx, users.ofLoggedOut, "3000 revoked", "3000 expired")
	if err != nil {
		return err
	}
	revoked, err := ends(ctx, users.ofRevoked, "3000 revoked")
	if err != nil {
		return err
	}
	if revoked.After(last) {
		last = revoked
	}
	s.line(max(0, last.Sub(began)), "the sockets of gus and ida have ended, those on B, too: A has stored both sign-outs again")
	if last, err = ends(ctx, slices.Concat(users.ofCookie, s.others), "3000 expired"); err != nil {
		return err
	}
	s.others = nil
	s.line(last.Sub(began), "those of hal, ann and bob have ended with 3000 `expired`: their sessions are lost")
	for _, node := range []string{"A", "B"} {
		if err := s.proxy.await(ctx, node, true); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "both nodes are ready again")
	return s.afterwards(ctx, users)
}

func (s *scenario) afterwards(ctx context.Context, users lossUsers) error {
	for _, node := range []string{"A", "B"} {
		for _, row := range []struct {
			who  *user
			want []string
		}{
			{users.loggedOut, []string{"401 credential_revoked", "401 no_credential"}},
			{users.cookie, []string{"401 no_credential"}},
			{users.revoked, []string{"401 credential_revoked"}},
			{users.token, []string{"200"}},
		} {
			if err := row.who.expect(ctx, node, row.want...); err != nil {
				return err
			}
		}
	}
	if err := stay(users.ofToken); err != nil {
		return err
	}
	s.note("the old cookies and ida's token are refused with 401 on both nodes")
	s.note("jon's token is good, and jon's 4 sockets were never closed")
	hal, _, err := s.signIn(ctx, "", "hal")
	if err != nil {
		return err
	}
	s.others, err = hal.connect(ctx, 2, 2)
	s.note("hal signs in again")
	return err
}
