package bearer

import (
	"context"
	"time"
)

// usable returns the set at hand; nil where there is none or it is too old.
func (s *source) usable() *keySet {
	set := s.current.Load()
	if set == nil || s.fetch != nil && time.Since(set.asOf) >= s.maxStale {
		return nil
	}
	return set
}

// find returns the one key of the slot.
//
// A kid the issuer has published is answered from memory. For any other one an attempt to
// fetch is asked for, at most one per cool-down however many ask, and waited for briefly;
// so a new key is accepted before the next refresh. Where the last attempt failed nobody
// can tell whether the kid exists, and the answer is errUnavailable.
func (s *source) find(ctx context.Context, at slot) (*key, error) {
	set := s.usable()
	if set == nil {
		s.await(ctx, s.underWay())
		if set = s.usable(); set == nil {
			return nil, errUnavailable
		}
	}
	if !set.knows(at.kid) {
		flight, failed := s.ask()
		switch {
		case flight == nil && failed:
			return nil, errUnavailable
		case flight == nil:
			return nil, errUnknownKey
		case !s.await(ctx, flight) || s.lastFailed():
			return nil, errUnavailable
		}
		if set = s.usable(); set == nil {
			return nil, errUnavailable
		}
	}
	if k := set.keys[at]; k != nil {
		return k, nil
	}
	return nil, errUnknownKey
}

// underWay returns the attempt under way; nil: none.
func (s *source) underWay() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight
}

func (s *source) lastFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// ask returns the attempt under way or a new one; nil during the cool-down, and whether
// the last attempt failed.
func (s *source) ask() (flight <-chan struct{}, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.flight != nil:
		return s.flight, false
	case s.fetch == nil, s.closed,
		!s.asked.IsZero() && now.Sub(s.asked) < s.coolDown,
		s.failed && now.Sub(s.ended) < s.coolDown:
		return nil, s.failed
	}
	s.asked = now
	s.flight = make(chan struct{})
	s.wake <- struct{}{} // begin empties it before flight can be nil again
	return s.flight, false
}

// await waits for the end of an attempt; false where that took too long, too many wait
// already, or there is none.
func (s *source) await(ctx context.Context, flight <-chan struct{}) bool {
	if flight == nil {
		return false
	}
	select {
	case <-flight:
		return true
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return false
	}
	timer := time.NewTimer(waitTimeout)
	defer timer.Stop()
	select {
	case <-flight:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
