// Package followers calls functions with each event.
package followers

import "sync"

// List has the functions that are called. Its zero value has none. It is safe for
// concurrent use.
type List[V any] struct {
	mu  sync.Mutex
	fns map[*func(V)]struct{}
}

// Follow has fn called with every later event, until stop is called.
func (l *List[V]) Follow(fn func(V)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fns == nil {
		l.fns = map[*func(V)]struct{}{}
	}
	l.fns[&fn] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.fns, &fn)
	}
}

// Tell calls each function with v. It returns after the last of them; one that blocks or panics
// keeps no other one from v. Then Tell panics, too.
func (l *List[V]) Tell(v V) {
	fns := l.all()
	if len(fns) == 1 {
		fns[0](v)
		return
	}
	panics := make(chan any, len(fns))
	var told sync.WaitGroup
	for _, fn := range fns {
		told.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			fn(v)
		})
	}
	told.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
}

func (l *List[V]) all() []func(V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fns := make([]func(V), 0, len(l.fns))
	for fn := range l.fns {
		fns = append(fns, *fn)
	}
	return fns
}
