package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// intact says whether the log is known to have the entries that this node has read and written. Reads
// of sessions wait for that.
type intact struct{ known chan struct{} } // closed: it is known

// state is that of the reader.
type state struct {
	fault error         // nil: announcements arrive
	since time.Time     // when the fault began
	lag   time.Duration // of the last canary
}

var errNotYet = errors.New("redis: the log: not connected yet")

// awaitFor is how old a fault of the log may be for a read to wait for its end. Later reads fail at once.
// Reads wait, however long, until the first connection is made or has failed.
const awaitFor = 500 * time.Millisecond

// await waits until the log is known to be intact. Until then the server may have lost ends that this
// node is about to store again.
func (l *endLog) await(ctx context.Context) error {
	s := l.intact.Load()
	select {
	case <-s.known:
		return nil
	default:
	}
	if since, fault := l.faultSince(); fault != nil && !errors.Is(fault, errNotYet) && time.Since(since) > awaitFor {
		return fault
	}
	select {
	case <-s.known:
		return nil
	case <-l.gone:
		return fmt.Errorf("redis: %w", goredis.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("redis: it is not known whether the server has lost ends: %w: %w", ctx.Err(), l.interruption())
	}
}

// faultSince returns the fault of the reader and its begin, also before the reader was started.
func (l *endLog) faultSince() (since time.Time, fault error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.since, l.state.fault
}

// interruption returns the fault by which announcements do not arrive; nil if they do, or if the reader
// was not started.
func (l *endLog) interruption() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faultIfStarted()
}

// faultIfStarted is interruption for a caller that holds the lock.
func (l *endLog) faultIfStarted() error {
	if l.stop == nil {
		return nil
	}
	return l.state.fault
}

func (l *endLog) logState() LogState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LogState{Interrupted: l.faultIfStarted() != nil, Lag: l.state.lag}
}

// markIntact has reads go on.
func (l *endLog) markIntact() {
	s := l.intact.Load()
	select {
	case <-s.known:
	default:
		close(s.known)
	}
}

// noteLag notes that announcements arrive: a canary did, within lag.
func (l *endLog) noteLag(lag time.Duration) {
	l.mu.Lock()
	was := l.state
	l.state = state{lag: lag}
	l.mu.Unlock()
	if was.fault != nil && !errors.Is(was.fault, errNotYet) {
		l.cfg.Log.Info("redis: announcements arrive again", "after", time.Since(was.since).Round(time.Millisecond))
	}
}

// noteFault notes that announcements do not arrive, and logs that once. Reads wait.
func (l *endLog) noteFault(err error) {
	l.mu.Lock()
	was := l.state.fault
	if was == nil {
		l.state.since = time.Now()
	}
	l.state.fault = err
	l.mu.Unlock()
	select {
	case <-l.intact.Load().known:
		l.intact.Store(&intact{make(chan struct{})})
	default: // reads wait on
	}
	if was == nil || errors.Is(was, errNotYet) {
		l.cfg.Log.Warn("redis: announcements of other nodes do not arrive; connecting anew", "error", err)
	}
}
