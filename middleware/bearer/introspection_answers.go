package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	refusedFor   = 2 * time.Second // how long a request relies on an answer that refuses the token
	aliveFor     = time.Second     // how long a recheck relies on an answer, and joins a flight
	maxRefused   = 1024            // remembered tokens that were never accepted
	warnInterval = 10 * time.Second
)

var errEndpoint = errors.New("the introspection endpoint does not answer")

// answer is the issuer's, about a token.
type answer struct {
	*verified           // of the last answer that accepted the token; nil: none did
	asOf      time.Time // when the introspection began
	refused   error     // why the token is refused; nil: it is accepted
}

// serves reports whether the answer is young enough.
func (a *answer) serves(within time.Duration) bool {
	if a == nil {
		return false
	}
	if a.refused != nil {
		within = min(within, refusedFor)
	}
	return elapsed(a.asOf) < within
}

// answers remembers the answers about tokens, and introspects a token again if its answer is
// too old, once for all requests that need it. It is safe for concurrent use. Tokens that were
// never accepted have a lane and a cache of their own, so that a flood of invented ones does not
// delay the others.
type answers struct {
	introspect func(ctx context.Context, token string) (*answer, error)
	timeout    time.Duration
	log        *slog.Logger
	warned     atomic.Int64 // when, by the wall clock

	accepted, refused *cache[answer]
	known, unknown    lane

	mu      sync.Mutex
	flights map[[sha256.Size]byte]*flight[*answer]
}

func newAnswers(introspect func(context.Context, string) (*answer, error), timeout time.Duration, size int, log *slog.Logger) *answers {
	return &answers{
		introspect: introspect, timeout: timeout, log: log,
		accepted: newCache[answer](size), refused: newCache[answer](maxRefused),
		known: newLane(), unknown: newLane(), flights: map[[sha256.Size]byte]*flight[*answer]{},
	}
}

// about returns an answer that is younger than within. alive says that the token was accepted
// before, perhaps by another node. Its error wraps errEndpoint.
func (s *answers) about(ctx context.Context, token string, within time.Duration, alive bool) (*answer, error) {
	sum := sumOf(token)
	last := s.last(sum)
	if last.serves(within) {
		return last, nil
	}
	f, joined := s.join(sum)
	if !joined {
		in := &s.unknown
		if alive || last != nil && last.refused == nil {
			in = &s.known
		}
		s.lead(f, in, sum, token)
		return f.result, f.err
	}
	if err := f.wait(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errEndpoint, err)
	}
	return f.result, f.err
}

// last returns the last answer about the token; nil if it is not known.
func (s *answers) last(sum [sha256.Size]byte) *answer {
	if a := s.accepted.get(sum); a != nil {
		return a
	}
	return s.refused.get(sum)
}

// join returns the flight about the token, or a new one that the caller leads.
func (s *answers) join(sum [sha256.Size]byte) (f *flight[*answer], joined bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.flights[sum]; f != nil && elapsed(f.began) < aliveFor {
		return f, true
	}
	f = newFlight[*answer](time.Now())
	s.flights[sum] = f
	return f, false
}

// lead introspects the token. Its context is not that of the request, for which others may not wait.
func (s *answers) lead(f *flight[*answer], in *lane, sum [sha256.Size]byte, token string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	a, err := in.do(ctx, func() (*answer, error) { return s.introspect(ctx, token) })
	if err != nil {
		s.warn(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[sum] == f {
		delete(s.flights, sum)
	}
	if err == nil {
		a = s.keep(sum, a)
	}
	f.land(a, err)
}

// keep stores the answer, unless a later introspection was answered first, and returns the one that
// counts.
func (s *answers) keep(sum [sha256.Size]byte, a *answer) *answer {
	last := s.last(sum)
	switch {
	case last != nil && last.asOf.After(a.asOf):
		return last
	case last != nil && a.verified == nil:
		a.verified = last.verified
	}
	switch {
	case a.verified == nil:
		s.refused.put(sum, a)
	case a.size() <= maxEntry:
		s.accepted.put(sum, a)
	}
	return a
}

// warn logs a failure, once in a while.
func (s *answers) warn(err error) {
	now, last := time.Now().UnixNano(), s.warned.Load()
	if last != 0 && now-last < int64(warnInterval) || !s.warned.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn("bearer: introspection failed", "cause", err)
}
