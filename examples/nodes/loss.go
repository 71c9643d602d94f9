package main

import (
	"context"
	"slices"
	"time"
)

// witnesses are users of the chapter in which Redis loses everything.
type witnesses struct {
	loggedOut, revoked, cookie, token         *person
	ofLoggedOut, ofRevoked, ofCookie, ofToken []*connection
}

// gather has each of them on both nodes.
func (s *story) gather(ctx context.Context) (w witnesses, err error) {
	byCookie := func(name string) (*person, error) {
		p, _, err := s.signIn(ctx, "A", name)
		return p, err
	}
	for _, at := range []struct {
		name   string
		signIn func(name string) (*person, error)
		who    **person
		open   *[]*connection
	}{
		{"gus", byCookie, &w.loggedOut, &w.ofLoggedOut},
		{"hal", byCookie, &w.cookie, &w.ofCookie},
		{"ida", s.withToken, &w.revoked, &w.ofRevoked},
		{"jon", s.withToken, &w.token, &w.ofToken},
	} {
		if *at.who, err = at.signIn(at.name); err != nil {
			return w, err
		}
		if *at.open, err = (*at.who).connect(ctx, 4, 0); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (s *story) lossOfRedis(ctx context.Context) error {
	if s.redis == nil {
		s.note("left out: the Redis is yours")
		return nil
	}
	w, err := s.gather(ctx)
	if err != nil {
		return err
	}
	s.note("gus and hal have cookies, ida and jon tokens of an identity provider; each has sockets on both nodes")
	s.b.link.cut()
	if _, err := w.loggedOut.do(ctx, "A", "/logout"); err != nil {
		return err
	}
	if _, err := w.revoked.do(ctx, "A", "/everywhere"); err != nil {
		return err
	}
	s.note("B is cut off; on A gus logs out, and ida revokes all tokens; both are acknowledged")
	s.redis.Kill()
	s.note("Redis is killed (SIGKILL)")
	if err := s.down(ctx, w, time.Now()); err != nil {
		return err
	}
	if err := s.redis.Start(ctx); err != nil {
		return err
	}
	s.b.link.heal()
	return s.empty(ctx, w, time.Now())
}

// down is the part in which Redis does not run.
func (s *story) down(ctx context.Context, w witnesses, began time.Time) error {
	for _, row := range []struct{ what, path string }{
		{"a handshake on A is refused with 503 and Retry-After", "/ws"},
		{"a login on A is refused so, too", "/login?user=kim"},
	} {
		if err := s.refused(ctx, "A", row.what, row.path); err != nil {
			return err
		}
	}
	for _, node := range []string{"A", "B"} {
		if err := s.front.await(ctx, node, false); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "after the kill at the latest, the proxy finds neither node ready")
	open := slices.Concat(w.ofCookie, w.ofToken, s.others)
	if err := stay(open); err != nil {
		return err
	}
	s.note("%d sockets and streams of users who have not signed out stay open", len(open))
	return nil
}

// empty is the part in which Redis runs again, without data.
func (s *story) empty(ctx context.Context, w witnesses, began time.Time) error {
	s.note("Redis is started again, empty, and B is connected again")
	last, err := ends(ctx, w.ofLoggedOut, "3000 revoked", "3000 expired")
	if err != nil {
		return err
	}
	revoked, err := ends(ctx, w.ofRevoked, "3000 revoked")
	if err != nil {
		return err
	}
	if revoked.After(last) {
		last = revoked
	}
	s.line(max(0, last.Sub(began)), "the sockets of gus and ida have ended, those on B, too: A has stored both sign-outs again")
	if last, err = ends(ctx, slices.Concat(w.ofCookie, s.others), "3000 expired"); err != nil {
		return err
	}
	s.others = nil
	s.line(last.Sub(began), "those of hal, ann and bob have ended with 3000 `expired`: their sessions are lost")
	for _, node := range []string{"A", "B"} {
		if err := s.front.await(ctx, node, true); err != nil {
			return err
		}
	}
	s.line(time.Since(began), "both nodes are ready again")
	return s.afterwards(ctx, w)
}

func (s *story) afterwards(ctx context.Context, w witnesses) error {
	for _, node := range []string{"A", "B"} {
		for _, row := range []struct {
			who  *person
			want []string
		}{
			{w.loggedOut, []string{"401 credential_revoked", "401 no_credential"}},
			{w.cookie, []string{"401 no_credential"}},
			{w.revoked, []string{"401 credential_revoked"}},
			{w.token, []string{"200"}},
		} {
			if err := row.who.expect(ctx, node, row.want...); err != nil {
				return err
			}
		}
	}
	if err := stay(w.ofToken); err != nil {
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
