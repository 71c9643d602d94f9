package redial

import (
	"context"
	"time"
)

// Bearer returns a [Source] of access tokens, sent in the Authorization header. Clients
// may share it: calls that arrive while another is in progress get the result of that call,
// unless it failed because its own context ended. If renew is true, token must not return a
// cached token. The expiry may be zero.
func Bearer(token func(ctx context.Context, renew bool) (token string, expires time.Time, err error)) Source {
	if token == nil {
		return nil
	}
	s := &shared{turn: make(chan struct{}, 1), ask: func(ctx context.Context, renew bool) (Credential, error) {
		t, expires, err := token(ctx, renew)
		c := BearerToken(t)
		c.Expires = expires
		return c, err
	}}
	return s.credential
}

// shared makes one call at a time; callers that waited for it get its result.
type shared struct {
	turn    chan struct{} // held during a call; guards the fields below
	ask     Source
	last    Credential
	err     error
	renewed bool
	ended   time.Time // end of the call that set last and err
}

func (s *shared) credential(ctx context.Context, renew bool) (Credential, error) {
	arrived := time.Now()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Credential{}, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.ended.After(arrived) && (s.renewed || !renew) {
		return s.last, s.err
	}
	c, err := s.ask(ctx, renew)
	if err == nil || ctx.Err() == nil {
		s.last, s.err, s.renewed, s.ended = c, err, renew, time.Now()
	}
	return c, err
}
