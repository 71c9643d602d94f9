package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// standing says whether the reader stands on an entry of the log: then nothing is lost that it knows
// of. Reads wait for it.
type standing struct{ yes chan struct{} }

// state is how this node hears of announcements.
type state struct {
	fault error     // nil: it hears
	since time.Time // of the fault
	lag   time.Duration
}

var errNotYet = errors.New("redis: the log: not connected yet")

// awaitFor is how long a fault of the log may last until reads no longer wait for its end.
const awaitFor = 500 * time.Millisecond

// await waits until the reader stands on an entry: until then the server may have lost ends that this
// node is about to store again.
func (l *endLog) await(ctx context.Context) error {
	s := l.standing.Load()
	select {
	case <-s.yes:
		return nil
	default:
	}
	if since, fault := l.faulty(); fault != nil && time.Since(since) > awaitFor {
		return fault
	}
	select {
	case <-s.yes:
		return nil
	case <-l.gone:
		return fmt.Errorf("redis: %w", goredis.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("redis: it is not known whether the server has lost ends: %w: %w", ctx.Err(), l.hears())
	}
}

func (l *endLog) faulty() (since time.Time, fault error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.since, l.state.fault
}

// hears returns why this node does not hear of announcements; nil if it does, or was not asked to.
func (l *endLog) hears() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop == nil {
		return nil
	}
	return l.state.fault
}

func (l *endLog) hearing() Hearing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Hearing{Deaf: l.stop != nil && l.state.fault != nil, Lag: l.state.lag}
}

// stands has reads go on.
func (l *endLog) stands() {
	s := l.standing.Load()
	select {
	case <-s.yes:
	default:
		close(s.yes)
	}
}

// heard notes that the reader works; its canary took that long.
func (l *endLog) heard(lag time.Duration) {
	l.mu.Lock()
	was := l.state
	l.state = state{lag: lag}
	l.mu.Unlock()
	if was.fault != nil && !errors.Is(was.fault, errNotYet) {
		l.cfg.Log.Info("redis: announcements arrive again", "after", time.Since(was.since).Round(time.Millisecond))
	}
}

// deaf notes, and logs once, that the reader does not work. Reads wait.
func (l *endLog) deaf(err error) {
	l.mu.Lock()
	was := l.state.fault
	if was == nil {
		l.state.since = time.Now()
	}
	l.state.fault = err
	l.mu.Unlock()
	select {
	case <-l.standing.Load().yes:
		l.standing.Store(&standing{make(chan struct{})})
	default: // reads wait on
	}
	if was == nil || errors.Is(was, errNotYet) {
		l.cfg.Log.Warn("redis: announcements of other nodes do not arrive; connecting anew", "error", err)
	}
}
