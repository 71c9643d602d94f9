package bearer

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout = 5 * time.Second // one attempt, discovery included
	waitTimeout  = time.Second     // how long a request waits for an attempt under way
	maxWaiting   = 128             // requests that may wait at a time
	firstRetry   = time.Second     // doubles up to the cool-down while no set was fetched
)

// source keeps the issuer's keys. One goroutine does all fetching; requests read the set
// that it has stored, and only those whose kid is unknown ever wait for it.
type source struct {
	fetch      func(context.Context) (document, error) // nil: the set does not change
	algorithms *algorithmSet
	noKeyID    bool
	refresh    time.Duration
	coolDown   time.Duration
	maxStale   time.Duration
	log        *slog.Logger

	current atomic.Pointer[keySet] // nil: none was fetched yet
	waiting atomic.Int32
	wake    chan struct{} // an attempt is scheduled; capacity 1

	mu        sync.Mutex
	flight    *flight[struct{}] // the attempt scheduled or under way; nil: none
	scheduled [burst]time.Time  // when requests last scheduled attempts, the oldest at next
	next      int
	ended     time.Time // when the last attempt ended
	failed    bool      // whether it failed
	closed    bool
	failures  int

	cancel  context.CancelFunc
	stopped chan struct{}
}

// newSource serves the set of Config.Keys, or starts to fetch the one the Config names.
func newSource(cfg Config, algorithms *algorithmSet, set *keySet) *source {
	s := &source{
		algorithms: algorithms, noKeyID: cfg.Profile.NoKeyID, log: cfg.Log,
		refresh: cfg.Refresh, coolDown: cfg.CoolDown, maxStale: cfg.MaxStale,
	}
	if set != nil {
		set.report(cfg.Log)
		s.current.Store(set)
		return s
	}
	client := hardened(cfg.HTTPClient, 0)
	s.fetch = func(ctx context.Context) (document, error) { return fetchKeys(ctx, client, cfg.JWKS, "JWKS") }
	if cfg.Discovery {
		s.fetch = func(ctx context.Context) (document, error) {
			location, err := discover(ctx, client, cfg.Issuer, "jwks_uri", cfg.DangerouslyAllowLocalHTTP)
			if err != nil {
				return document{}, err
			}
			return fetchKeys(ctx, client, location, "jwks_uri")
		}
	}
	s.start()
	return s
}

// start begins the first attempt and goes on until close.
func (s *source) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.stopped = cancel, make(chan struct{})
	s.wake = make(chan struct{}, 1)
	s.flight = newFlight[struct{}](time.Time{}) // requests that are early wait for the first attempt
	go s.run(ctx)
}

// close ends the fetching and waits for its goroutine. The current set serves until it is
// stale.
func (s *source) close() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	<-s.stopped
}

func (s *source) run(ctx context.Context) {
	defer close(s.stopped)
	for s.pause(ctx, s.attempt(ctx)) {
	}
	s.end(errClosed)
}

// lookEvery is how often a pause looks at the wall clock.
const lookEvery = 10 * time.Second

// pause waits for that long, or until an attempt is scheduled; false if ctx ends.
func (s *source) pause(ctx context.Context, d time.Duration) bool {
	for begun := time.Now(); ; {
		left := d - elapsed(begun)
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(min(left, lookEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-s.wake:
			timer.Stop()
			return true
		case <-timer.C:
		}
	}
}

// elapsed returns the time since t by the clock that says more: while the machine is suspended,
// the monotonic clock may stop, and timers with it.
func elapsed(t time.Time) time.Duration { return max(time.Since(t), time.Since(t.Round(0))) }

// attempt fetches once and returns the time until the next one.
func (s *source) attempt(ctx context.Context) time.Duration {
	began := s.begin()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	doc, err := contained(ctx, s.fetch)
	var set *keySet
	prev := s.current.Load()
	if err == nil {
		set, err = parseKeySet(doc.body, s.algorithms, s.noKeyID, prev)
	}
	if err != nil {
		s.end(err)
		if ctx.Err() != context.Canceled {
			s.log.Warn("bearer: keys: fetch failed", "cause", err, "have", prev != nil)
		}
		return s.retryIn()
	}
	set.asOf = began
	s.current.Store(set)
	s.end(nil)
	if prev == nil || !slices.Equal(prev.unused, set.unused) {
		set.report(s.log)
	}
	next := s.refresh
	if doc.fresh > 0 {
		next = min(next, max(doc.fresh, s.coolDown))
	}
	return next - rand.N(next/5+1) // never later: a removed key is gone by then
}

func (s *source) retryIn() time.Duration {
	s.failures++
	if s.usable() != nil {
		return s.coolDown + rand.N(s.coolDown/2+1)
	}
	d := min(firstRetry<<min(s.failures-1, 10), s.coolDown)
	return d - rand.N(d/2+1)
}

// begin lets the requests that scheduled an attempt wait for the one that starts now.
func (s *source) begin() (now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake:
	default:
	}
	if s.flight == nil {
		s.flight = newFlight[struct{}](time.Time{})
	}
	now = time.Now()
	s.flight.began = now
	return now
}

// errClosed is the error of an attempt that Close has prevented.
var errClosed = errors.New("the Authenticator is closed")

// end ends the attempt, if there is one.
func (s *source) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		s.flight.land(struct{}{}, err)
		s.flight = nil
	}
	if err == errClosed {
		s.closed = true
		return
	}
	if s.ended, s.failed = time.Now(), err != nil; !s.failed {
		s.failures = 0
	}
}
