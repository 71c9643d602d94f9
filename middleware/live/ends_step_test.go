package live_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
)

// steppingStore calls a function before and after each of its steps, if it is not being called.
type steppingStore struct {
	*memstore.MemStore
	stepping sync.Mutex
	step     func() // guarded by stepping
}

func (s *steppingStore) stepped(do func()) {
	if !s.stepping.TryLock() { // a step that the function takes itself, or one beside it
		do()
		return
	}
	defer s.stepping.Unlock()
	if s.step == nil {
		do()
		return
	}
	s.step()
	do()
	s.step()
}

// onStep sets the function, when it is not being called.
func (s *steppingStore) onStep(step func()) {
	s.stepping.Lock()
	defer s.stepping.Unlock()
	s.step = step
}

func (s *steppingStore) Find(key string) (b []byte, found bool, err error) {
	s.stepped(func() { b, found, err = s.MemStore.Find(key) })
	return b, found, err
}

func (s *steppingStore) Commit(key string, b []byte, expiry time.Time) (err error) {
	s.stepped(func() { err = s.MemStore.Commit(key, b, expiry) })
	return err
}

func (s *steppingStore) Delete(key string) (err error) {
	s.stepped(func() { err = s.MemStore.Delete(key) })
	return err
}

// comparingStore also compares before it writes.
type comparingStore struct{ *steppingStore }

func (s comparingStore) Swap(_ context.Context, key string, old, b []byte, expiry time.Time) (done bool, err error) {
	s.stepped(func() {
		now, found, _ := s.MemStore.Find(key)
		if done = found == (old != nil) && string(now) == string(old); done {
			err = s.MemStore.Commit(key, b, expiry)
		}
	})
	return done, err
}

// A response that is opened at any step of an event ends with it: whether its request has read
// the store before the event wrote there or after, and has entered the registry before the event
// was told there or after.
func TestResponsesOpenedDuringAnEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("every response at every moment of every event takes 20 s")
	}
	t.Parallel()
	for _, e := range immediate {
		for _, cfg := range e.sites() {
			t.Run(e.name+", "+cfg.name, func(t *testing.T) {
				stepping := &steppingStore{MemStore: memstore.NewWithCleanupInterval(0)}
				if cfg.store == nil {
					cfg.store = comparingStore{stepping}
				} else {
					cfg.store = stepping
				}
				s := newSite(t, cfg)
				for i, of := range credentials {
					if slices.Contains(e.goesOn, of.name) || cfg.sessionsAlone && !slices.Contains(ofSessions, of.name) {
						continue
					}
					t.Run(of.name, func(t *testing.T) { openDuring(t, s, stepping, of, e, i) })
				}
			})
		}
	}
}

// openDuring opens a response before and after each step of the event; the first of the kind that
// first says, and then in turn.
func openDuring(t *testing.T, s *site, store *steppingStore, of credential, e event, first int) {
	u, err := newUser(s, of, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	var kinds []consumer
	for _, x := range consumers {
		if c := newCell(u, x); c.opens() && (x.socket || x.polls || x.path == "/events") { // which end at once
			kinds = append(kinds, x)
		}
	}
	for range 24 / len(kinds) {
		for _, x := range kinds {
			u.cells = append(u.cells, newCell(u, x))
		}
	}
	must(t, u.fetchTickets())
	u.cells = nil
	steps := first
	store.onStep(func() {
		u.opening.Lock()
		defer u.opening.Unlock()
		if steps++; u.acknowledged || len(u.cells) == mostOpened {
			return
		}
		if c := newCell(u, kinds[steps%len(kinds)]); c.openNow() {
			u.cells = append(u.cells, c)
		}
	})
	b, err := e.happen(u)
	store.onStep(nil)
	must(t, err)
	var each sync.WaitGroup
	for _, c := range u.cells {
		each.Go(func() { c.wantEndUnlessRenewed(e, b) })
	}
	each.Wait()
	for _, c := range u.cells {
		c.report(t)
	}
	if steps -= first; len(u.cells) == 0 {
		t.Errorf("nothing was opened at %d steps", steps)
	}
	t.Logf("%d responses were opened at %d steps", len(u.cells), steps)
}

// openNow returns when the response is open, and its handler knows the principal; false if it was
// refused.
func (c *cell) openNow() bool {
	if c.consumer.open(c) != nil {
		return false
	}
	for {
		select {
		case <-c.waiting:
			return true
		case <-c.closed:
			return !c.consumer.polls
		case <-time.After(time.Millisecond):
			if c.produced.count() > 0 {
				return true
			}
		}
	}
}

// wantEndUnlessRenewed wants that a response goes on if it was opened by a principal with the
// roles of after the event.
func (c *cell) wantEndUnlessRenewed(e event, b bound) {
	if c.renewed.Load() {
		c.wantOpenAfter(b)
	} else {
		c.wantEnd(e, b)
	}
}
