package bearer

import (
	"context"
	"fmt"
	"time"
)

// burst is how many attempts requests may schedule in one cool-down.
const burst = 3

var (
	errNoSet   = fmt.Errorf("%w: none were fetched yet, or they are older than MaxStale; the log has why", errUnavailable)
	errNoFetch = fmt.Errorf("%w: the key of the token may be newer than those, and the last fetch failed; the log has why", errUnavailable)
	errTooSoon = fmt.Errorf("%w: the key of the token may be newer than those, which are fetched three times in a CoolDown at most",
		errUnavailable)
)

// usable returns the current set; nil if there is none or it is too old.
func (s *source) usable() *keySet {
	set := s.current.Load()
	if set == nil || s.fetch != nil && elapsed(set.asOf) >= s.maxStale {
		return nil
	}
	return set
}

// lacks reports whether there is a set, and it has not the key.
func (s *source) lacks(at slot) bool {
	set := s.usable()
	return set != nil && at.kid != "" && set.keys[at] == nil
}

// find returns the one key of the slot, and of a slot without kid the only key of its
// algorithm, with its own slot.
//
// A kid that the issuer has published is answered from memory. Any other kid causes an
// attempt to fetch, at most three per cool-down for all requests together, and a short wait
// for it; so a new key is accepted before the next refresh. Without an attempt, or after one
// that failed, the kid may exist, and the error is errUnavailable: a token of an invented kid
// does not have the tokens of a new key refused for good.
func (s *source) find(ctx context.Context, at slot) (slot, *key, error) {
	set, latest, err := s.lookUp(ctx, func(set *keySet) bool {
		if at.kid != "" {
			return set.knows(at.kid)
		}
		_, k := set.only(at.alg)
		return k != nil
	})
	if err != nil {
		return slot{}, nil, err
	}
	k := set.keys[at]
	if at.kid == "" {
		at, k = set.only(at.alg)
	}
	switch {
	case k != nil:
		return at, k, nil
	case !latest && !has(set.gone, at.kid):
		return slot{}, nil, errTooSoon
	}
	return slot{}, nil, fmt.Errorf("%w: alg is %s; see the kids of Config.JWKS, Discovery or Keys", errUnknownKey, at.alg)
}

// newer is find for a token without kid whose signature does not verify under the key: the
// issuer may have another by now.
func (s *source) newer(ctx context.Context, alg Algorithm, than *key) (slot, *key, error) {
	set, latest, err := s.lookUp(ctx, func(set *keySet) bool {
		_, k := set.only(alg)
		return k != nil && !k.same(than)
	})
	if err != nil {
		return slot{}, nil, err
	}
	at, k := set.only(alg)
	switch {
	case k != nil && !k.same(than):
		return at, k, nil
	case !latest:
		return slot{}, nil, errTooSoon
	}
	return slot{}, nil, errSignature
}

// holds returns errWithdrawn if the issuer does not publish the key of that thumbprint any
// more. The key of a ticket may be one that another node has fetched and this one has not:
// before the next attempt that is not known, and the error is errUnavailable.
func (s *source) holds(ctx context.Context, thumbprint string) error {
	set, latest, err := s.lookUp(ctx, func(set *keySet) bool { return has(set.usable, thumbprint) || has(set.withdrawn, thumbprint) })
	switch {
	case err != nil:
		return err
	case has(set.usable, thumbprint):
		return nil
	case latest || has(set.withdrawn, thumbprint):
		return errWithdrawn
	}
	return errTooSoon
}

// lookUp returns the current set. If the wanted key is not known to that, it makes an attempt to
// fetch, and another if the first was under way already: its answer may be older than the key.
// latest is false if a newer set may have the key and may not be fetched yet.
func (s *source) lookUp(ctx context.Context, known func(*keySet) bool) (set *keySet, latest bool, err error) {
	if set = s.usable(); set == nil {
		s.await(ctx, s.underWay())
		if set = s.usable(); set == nil {
			return nil, false, errNoSet
		}
	}
	if s.fetch == nil || known(set) {
		return set, true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	for range 2 {
		f, early, failed := s.schedule()
		switch {
		case f == nil && !failed:
			return set, false, nil
		case f == nil, !s.await(ctx, f), f.err != nil:
			return nil, false, errNoFetch
		}
		if set = s.usable(); set == nil {
			return nil, false, errNoSet
		}
		if !early || known(set) {
			return set, true, nil
		}
	}
	return set, false, nil
}

// underWay returns the attempt under way, or nil.
func (s *source) underWay() *flight[struct{}] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight
}

// schedule returns the attempt under way or a new one, and whether it began earlier; nil during
// the cool-down, and whether the last attempt failed.
func (s *source) schedule() (f *flight[struct{}], early, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.flight != nil:
		return s.flight, !s.flight.began.IsZero(), false
	case s.fetch == nil, s.closed,
		!s.scheduled[s.next].IsZero() && now.Sub(s.scheduled[s.next]) < s.coolDown,
		s.failed && now.Sub(s.ended) < s.coolDown:
		return nil, false, s.failed
	}
	s.scheduled[s.next] = now
	s.next = (s.next + 1) % burst
	s.flight = newFlight[struct{}](time.Time{})
	s.wake <- struct{}{} // begin empties it before flight can be nil again
	return s.flight, false, false
}

// await waits for the end of an attempt; false if that took too long, if too many requests
// wait already, or if there is none.
func (s *source) await(ctx context.Context, f *flight[struct{}]) bool {
	if f == nil {
		return false
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return f.hasLanded()
	}
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	return f.wait(ctx) == nil
}
