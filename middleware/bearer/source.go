package bearer

import (
	"context"
	"fmt"
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
	firstRetry   = time.Second     // doubles up to the cool-down while there is no set
)

// source keeps the issuer's keys. One goroutine does all fetching; requests read what it
// has stored, and only those whose kid is unknown ever wait for it.
type source struct {
	fetch      func(context.Context) (document, error) // nil: the set does not change
	algorithms *algorithmSet
	refresh    time.Duration
	coolDown   time.Duration
	maxStale   time.Duration
	log        *slog.Logger

	current atomic.Pointer[keySet] // nil: none was had yet
	waiting atomic.Int32
	wake    chan struct{} // an attempt is asked for; capacity 1

	mu       sync.Mutex
	flight   chan struct{} // closed when the attempt asked for or under way ends; nil: none
	asked    time.Time     // when a request last asked for an attempt
	ended    time.Time     // when the last attempt ended
	failed   bool          // whether it failed
	closed   bool
	failures int

	cancel  context.CancelFunc
	stopped chan struct{}
}

// newSource reads Config.Keys, or starts to fetch what the Config names.
func newSource(cfg Config, algorithms *algorithmSet) (*source, error) {
	s := &source{
		algorithms: algorithms, log: cfg.Log,
		refresh: cfg.Refresh, coolDown: cfg.CoolDown, maxStale: cfg.MaxStale,
	}
	if cfg.Keys != nil {
		set, err := parseKeySet(cfg.Keys, algorithms, nil)
		if err != nil {
			return nil, fmt.Errorf("bearer: keys: %w", err)
		}
		set.report(cfg.Log)
		s.current.Store(set)
		return s, nil
	}
	client := hardened(cfg.HTTPClient)
	s.fetch = func(ctx context.Context) (document, error) { return fetch(ctx, client, cfg.JWKS) }
	if cfg.Discovery {
		s.fetch = func(ctx context.Context) (document, error) { return discover(ctx, client, cfg.Issuer) }
	}
	s.start()
	return s, nil
}

// start begins the first attempt and goes on until close.
func (s *source) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.stopped = cancel, make(chan struct{})
	s.wake = make(chan struct{}, 1)
	s.flight = make(chan struct{}) // requests that are early wait for the first attempt
	go s.run(ctx)
}

// close ends the fetching and waits for its goroutine. The set at hand serves on until it
// is stale.
func (s *source) close() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	<-s.stopped
}

func (s *source) run(ctx context.Context) {
	defer close(s.stopped)
	for {
		timer := time.NewTimer(s.attempt(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			s.end(true, false)
			return
		case <-timer.C:
		case <-s.wake:
			timer.Stop()
		}
	}
}

// attempt fetches once and returns the time until the next one.
func (s *source) attempt(ctx context.Context) time.Duration {
	s.begin()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	doc, err := s.fetch(ctx)
	var set *keySet
	prev := s.current.Load()
	if err == nil {
		set, err = parseKeySet(doc.body, s.algorithms, prev)
	}
	if err != nil {
		s.end(false, true)
		if ctx.Err() != context.Canceled {
			s.log.Warn("bearer: keys: fetch failed", "cause", err, "have", prev != nil)
		}
		return s.retryIn()
	}
	set.asOf = begun
	s.current.Store(set)
	s.end(false, false)
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

// begin joins those who asked to the attempt that starts now.
func (s *source) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake:
	default:
	}
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
}

func (s *source) end(closed, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		close(s.flight)
		s.flight = nil
	}
	if closed {
		s.closed = true
		return
	}
	if s.ended, s.failed = time.Now(), failed; !failed {
		s.failures = 0
	}
}

// report names the keys that were left out, once per change.
func (s *keySet) report(log *slog.Logger) {
	if len(s.unused) > 0 {
		log.Warn("bearer: keys: left out", "count", len(s.unused), "first", s.unused[:min(len(s.unused), 8)])
	}
}
