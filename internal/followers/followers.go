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

// Tell calls each function with v. It returns after the last of them.
func (l *List[V]) Tell(v V) {
	l.mu.Lock()
	fns := make([]func(V), 0, len(l.fns))
	for fn := range l.fns {
		fns = append(fns, *fn)
	}
	l.mu.Unlock()
	for _, fn := range fns {
		fn(v)
	}
}
