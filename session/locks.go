package session

import (
	"context"
	"hash/maphash"
)

// locks serialise the changes of one key within this process. Their number is fixed: two keys
// may have the same lock.
type locks struct {
	seed maphash.Seed
	of   []chan struct{}
}

func newLocks() locks {
	l := locks{maphash.MakeSeed(), make([]chan struct{}, 64)}
	for i := range l.of {
		l.of[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits for the lock of the key, as long as ctx lasts.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	lock := l.of[maphash.String(l.seed, key)%uint64(len(l.of))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
