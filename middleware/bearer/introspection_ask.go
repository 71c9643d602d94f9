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

	"github.com/securews/securews/internal/bounded"
)

const (
	refusedFor   = 2 * time.Second // how long a request relies on an answer that refuses the token
	aliveFor     = time.Second     // how long a recheck relies on an answer, and joins a question
	maxRefused   = 1024            // remembered tokens that were never accepted
	maxInFlight  = 32              // questions at a time, in each lane
	maxInLane    = 1024            // questions that are asked or wait for that, in each lane
	warnInterval = 10 * time.Second
)

var errEndpoint = errors.New("the introspection endpoint does not answer")

// answer is the issuer's, about a token.
type answer struct {
	*verified           // of the last answer that accepted the token; nil: none did
	asked     time.Time // when the question began
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
	return elapsed(a.asked) < within
}

// answers remembers the answers about tokens, and asks for new ones, one question at a time about a
// token. It is safe for concurrent use. Tokens that were never accepted have a lane and a memory of their own, so that a
// flood of invented ones does not keep the others from being asked about.
type answers struct {
	ask     func(ctx context.Context, token string) (*answer, error)
	timeout time.Duration
	log     *slog.Logger
	warned  atomic.Int64 // when, by the wall clock

	accepted, refused *cache[answer]
	known, unknown    lane

	mu      sync.Mutex
	flights map[[sha256.Size]byte]*flight
}

// flight is a question under way.
type flight struct {
	began  time.Time
	done   chan struct{} // closed when answer and err are set
	answer *answer
	err    error
}

func newAnswers(ask func(context.Context, string) (*answer, error), timeout time.Duration, size int, log *slog.Logger) *answers {
	return &answers{
		ask: ask, timeout: timeout, log: log,
		accepted: newCache[answer](size), refused: newCache[answer](maxRefused),
		known: newLane(), unknown: newLane(), flights: map[[sha256.Size]byte]*flight{},
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
		return f.answer, f.err
	}
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errEndpoint, ctx.Err())
	}
}

// last returns the last answer about the token; nil if it is not known.
func (s *answers) last(sum [sha256.Size]byte) *answer {
	if a := s.accepted.get(sum); a != nil {
		return a
	}
	return s.refused.get(sum)
}

// join returns the question under way, or a new one that the caller leads.
func (s *answers) join(sum [sha256.Size]byte) (f *flight, joined bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.flights[sum]; f != nil && elapsed(f.began) < aliveFor {
		return f, true
	}
	f = &flight{began: time.Now(), done: make(chan struct{})}
	s.flights[sum] = f
	return f, false
}

// lead asks. Its context is not that of the request, for which others may not wait.
func (s *answers) lead(f *flight, in *lane, sum [sha256.Size]byte, token string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	f.answer, f.err = in.call(ctx, func() (*answer, error) { return s.ask(ctx, token) })
	if f.err != nil {
		s.warn(f.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[sum] == f {
		delete(s.flights, sum)
	}
	if f.err == nil {
		f.answer = s.keep(sum, f.answer)
	}
	close(f.done)
}

// keep stores the answer, unless a later question was answered first, and returns the one that
// counts.
func (s *answers) keep(sum [sha256.Size]byte, a *answer) *answer {
	last := s.last(sum)
	switch {
	case last != nil && last.asked.After(a.asked):
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

// lane bounds the questions of one kind.
type lane struct {
	inside atomic.Int32
	slots  chan struct{} // one for each question that is asked
	calls  bounded.Caller
}

func newLane() lane {
	return lane{slots: make(chan struct{}, maxInFlight), calls: bounded.NewCaller(nil)}
}

// call waits for a slot for half of the time that ctx leaves, so that the issuer gets no question
// that is given up at once.
func (l *lane) call(ctx context.Context, ask func() (*answer, error)) (*answer, error) {
	defer l.inside.Add(-1)
	if l.inside.Add(1) > maxInLane {
		return nil, fmt.Errorf("%w: %d questions wait already; put a middleware.RateLimit in front", errEndpoint, maxInLane)
	}
	if !l.enter(ctx) {
		return nil, fmt.Errorf("%w: %d questions are under way for too long; put a middleware.RateLimit in front", errEndpoint, maxInFlight)
	}
	a, err := bounded.Call(ctx, l.calls, "question", func() (*answer, error) {
		defer func() { <-l.slots }()
		return ask()
	})
	if err != nil {
		err = fmt.Errorf("%w: %v", errEndpoint, err) // %v: a panic of Authorize is 503
	}
	return a, err
}

func (l *lane) enter(ctx context.Context) bool {
	end, _ := ctx.Deadline()
	timer := time.NewTimer(time.Until(end) / 2)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}
