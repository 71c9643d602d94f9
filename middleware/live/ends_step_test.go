package live_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
)

// steppingStore calls a function before and after each of its steps.
type steppingStore struct {
	*memstore.MemStore
	mu   sync.Mutex
	step func()
}

// stepped does one step. The steps that the function takes itself are not stepped.
func (s *steppingStore) stepped(do func()) {
	s.mu.Lock()
	step := s.step
	s.step = nil
	s.mu.Unlock()
	if step == nil {
		do()
		return
	}
	step()
	do()
	step()
	s.onStep(step)
}

func (s *steppingStore) onStep(step func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// A socket that is opened at any step of an event ends with it: whether its handshake has read
// the store before the event wrote there or after, and has entered the registry before the event
// was told there or after.
func TestSocketsOpenedDuringAnEvent(t *testing.T) {
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
				for _, of := range credentials {
					if slices.Contains(e.goesOn, of.name) || cfg.sessionsAlone && !slices.Contains(ofSessions, of.name) {
						continue
					}
					t.Run(of.name, func(t *testing.T) { openDuring(t, s, stepping, of, e) })
				}
			})
		}
	}
}

func openDuring(t *testing.T, s *site, store *steppingStore, of credential, e event) {
	u, err := newUser(s, of, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	sockets := consumers[len(consumers)-2:]
	for range 12 {
		for _, x := range sockets {
			u.cells = append(u.cells, newCell(u, x))
		}
	}
	if err := u.fetchTickets(); err != nil {
		t.Fatal(err)
	}
	u.cells = nil
	steps := 0
	store.onStep(func() {
		steps++
		c := newCell(u, sockets[steps%len(sockets)])
		if c.consumer.open(c) == nil { // or it was refused
			u.cells = append(u.cells, c)
		}
	})
	b, err := e.happen(u)
	store.onStep(nil)
	if err != nil {
		t.Fatal(err)
	}
	var each sync.WaitGroup
	for _, c := range u.cells {
		each.Go(func() {
			if c.renewed.Load() {
				c.wantOpenAfter(b)
			} else {
				c.wantEnd(e.cause, b)
			}
		})
	}
	each.Wait()
	for _, c := range u.cells {
		c.report(t)
	}
	if len(u.cells) == 0 || len(u.cells) == steps && !e.reauth {
		t.Errorf("%d sockets of %d steps were opened: want the first steps before the end, and the last behind it", len(u.cells), steps)
	}
	t.Logf("%d sockets at %d steps", len(u.cells), steps)
}
