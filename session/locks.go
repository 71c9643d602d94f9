package session

import (
	"context"
	"errors"
	"sync"

	"github.com/securews/securews/internal/bounded"
)

// locks serialise the changes of one key within this process.
type locks struct {
	mu sync.Mutex
	of map[string]*lock
}

// lock is there as long as it has users: a call that holds it, and those that wait for it.
type lock struct {
	held  chan struct{}
	users int
}

func newLocks() locks { return locks{of: map[string]*lock{}} }

// lock waits for the lock of the key, as long as ctx lasts. A second call of unlock does nothing.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	x := l.enter(key)
	select {
	case x.held <- struct{}{}:
		return sync.OnceFunc(func() { <-x.held; l.leave(key, x) }), nil
	case <-ctx.Done():
		l.leave(key, x)
		return nil, ctx.Err()
	}
}

func (l *locks) enter(key string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.of[key]
	if x == nil {
		x = &lock{held: make(chan struct{}, 1)}
		l.of[key] = x
	}
	x.users++
	return x
}

func (l *locks) leave(key string, x *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.users--; x.users == 0 {
		delete(l.of, key)
	}
}

// inTurn calls change while no other change of the key is under way in this process. One that
// was given up is under way until the store returns: otherwise its late write could replace that of
// a later change.
func (x *ends) inTurn(ctx context.Context, key string, change func() error) error {
	unlock, err := x.locks.lock(ctx, key)
	if err != nil {
		return err
	}
	_, err = bounded.Call(ctx, x.store.calls, "session: store: change", func() (struct{}, error) {
		defer unlock()
		return struct{}{}, change()
	})
	if errors.Is(err, bounded.ErrBusy) {
		unlock() // change was not called
	}
	return err
}
