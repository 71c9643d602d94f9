package live

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// clock is a registry's Now, in a synctest bubble.
func clock() func() int64 {
	start := time.Now()
	return func() int64 { return 1 + int64(time.Since(start)) }
}

// alarms is a wheel whose bindings are each due at one time, and that notes when it wakes them.
type alarms struct {
	*wheel
	mu    sync.Mutex
	due   map[*Binding]int64
	woken map[*Binding]int64
	asked atomic.Int64
}

func newAlarms() *alarms {
	a := &alarms{due: map[*Binding]int64{}, woken: map[*Binding]int64{}}
	a.wheel = &wheel{now: clock(), wake: func(b *Binding, now int64) int64 {
		a.asked.Add(1)
		a.mu.Lock()
		defer a.mu.Unlock()
		if due := a.due[b]; now < due {
			return due
		}
		a.woken[b] = now
		return 0
	}}
	return a
}

func (a *alarms) set(after time.Duration) *Binding {
	b := &Binding{}
	when := a.now() + int64(after)
	a.mu.Lock()
	a.due[b] = when
	a.mu.Unlock()
	a.add(b, when)
	return b
}

// check wants every binding woken, no earlier than due and at most a tick later.
func (a *alarms) check(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for b, due := range a.due {
		switch at, ok := a.woken[b]; {
		case !ok:
			t.Errorf("due at %v, never woken", time.Duration(due))
		case at < due, at > due+int64(tick):
			t.Errorf("due at %v, woken %v later", time.Duration(due), time.Duration(at-due))
		}
	}
}

func (a *alarms) removeAll() {
	for b := range a.due {
		a.remove(b)
	}
}

func TestWheelWakesWithinATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		for _, after := range []time.Duration{
			0, 1, tick - 1, tick, tick + 1, time.Second, 63 * time.Second, slots*tick - 1, slots * tick, slots*tick + 1,
			65 * time.Second, 10 * time.Minute, time.Hour, 25 * time.Hour,
		} {
			a.set(after)
		}
		for range 2000 { // at any phase of the ticks, as they come
			a.set(time.Duration(rand.Int64N(int64(5 * time.Minute))))
			time.Sleep(time.Duration(rand.Int64N(int64(tick / 3))))
		}
		time.Sleep(26 * time.Hour)
		a.check(t)
		a.removeAll()
	})
}

// A wheel that was empty for a while counts its ticks from a new base.
func TestWheelWakesWithinATickAfterItHasStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		for range 50 {
			b := a.set(time.Duration(rand.Int64N(int64(2 * time.Minute))))
			time.Sleep(3 * time.Minute)
			a.remove(b)
			time.Sleep(time.Duration(rand.Int64N(int64(time.Hour))))
		}
		a.check(t)
	})
}

func TestWheelWith100000Entries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		for range 100_000 {
			a.set(time.Duration(rand.Int64N(int64(2 * time.Minute))))
		}
		time.Sleep(3 * time.Minute)
		a.check(t)
		if n := a.asked.Load(); n > 300_000 {
			t.Errorf("asked %d times: a binding that is due within 64 s is asked once", n)
		}
		a.removeAll()
	})
}

func TestHastenMovesForwardOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		sooner, later := a.set(time.Minute), a.set(time.Minute)
		move := func(b *Binding, after time.Duration) {
			a.mu.Lock()
			a.due[b] = min(a.due[b], a.now()+int64(after))
			a.mu.Unlock()
			a.hasten(b, a.now()+int64(after))
		}
		time.Sleep(100 * time.Millisecond)
		move(sooner, 10*time.Second)
		move(later, 2*time.Minute)
		time.Sleep(3 * time.Minute)
		a.check(t)
		a.removeAll()
	})
}

// A binding that is hastened while it is being woken, after it has computed its deadline,
// is woken again: a close frame that another goroutine writes at that moment starts the
// time in which the peer must answer.
func TestHastenWhileBeingWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *wheel
		var woken []int64
		w = &wheel{now: clock(), wake: func(b *Binding, now int64) int64 {
			woken = append(woken, now)
			switch len(woken) {
			case 1:
				w.hasten(b, now+int64(2*time.Second))
				w.hasten(b, now+int64(3*time.Second))
				return now + int64(time.Hour)
			case 2:
				w.hasten(b, now+int64(time.Second))
			}
			return 0 // never again, also if hastened
		}}
		b := &Binding{}
		w.add(b, 0)
		time.Sleep(2 * time.Hour)
		w.remove(b)
		synctest.Wait()
		if len(woken) != 2 || woken[1]-woken[0] > int64(2*time.Second+tick) || woken[1]-woken[0] < int64(2*time.Second) {
			t.Errorf("woken at %v, want twice, 2 s apart", woken)
		}
	})
}

func TestHastenAllWakesEveryBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[*Binding]int{}
		var w *wheel
		var again bool
		w = &wheel{now: clock(), wake: func(b *Binding, now int64) int64 {
			asked[b]++
			if again {
				again = false
				w.hastenAll() // while the other bindings are still to be woken
			}
			return now + int64(time.Hour)
		}}
		bindings := make([]*Binding, 100)
		for i := range bindings {
			bindings[i] = &Binding{}
			w.add(bindings[i], w.now()+int64(time.Hour)+int64(i)*int64(time.Second))
		}
		wantAsked := func(n int) {
			t.Helper()
			time.Sleep(2 * tick)
			synctest.Wait()
			for _, b := range bindings {
				if asked[b] != n {
					t.Fatalf("asked %d times, want %d", asked[b], n)
				}
			}
		}
		wantAsked(0)
		w.hastenAll()
		wantAsked(1)
		again = true
		w.hastenAll()
		wantAsked(3)
		for _, b := range bindings {
			w.remove(b)
		}
	})
}

func TestRemoveWhileBeingWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *wheel
		asked := 0
		w = &wheel{now: clock(), wake: func(b *Binding, now int64) int64 {
			asked++
			w.remove(b)
			return now + int64(time.Second)
		}}
		b := &Binding{}
		w.add(b, 0)
		time.Sleep(time.Minute)
		w.remove(b) // twice is once
		if asked != 1 || w.n != 0 {
			t.Errorf("asked %d times, %d left", asked, w.n)
		}
		for i, head := range w.slot {
			if head != nil {
				t.Errorf("slot %d is not empty", i)
			}
		}
	})
}

// The bubble of synctest fails if a goroutine is left: the wheel has one only while a
// binding is in it, and starts another later.
func TestWheelsGoroutineEndsWithItsBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarms()
		for range 3 {
			first, second := a.set(time.Second), a.set(time.Minute)
			a.remove(first)
			a.remove(second)
			delete(a.due, first)
			delete(a.due, second)
			synctest.Wait()
			last := a.set(time.Second)
			time.Sleep(2 * time.Second)
			a.remove(last)
			time.Sleep(time.Hour)
		}
		a.check(t)
	})
}

// Run with -race: deadlines move, bindings come and go, all are hastened.
func TestWheelIsSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		w := &wheel{now: clock(), wake: func(_ *Binding, now int64) int64 {
			asked.Add(1)
			return now + int64(time.Second)
		}}
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(5, uint64(worker)))
				for range 200 {
					b := &Binding{}
					w.add(b, w.now()+random.Int64N(int64(time.Minute)))
					time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
					w.hasten(b, w.now()+random.Int64N(int64(time.Second)))
					if random.IntN(10) == 0 {
						w.hastenAll()
					}
					time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
					w.remove(b)
				}
			})
		}
		wg.Wait()
		if asked.Load() == 0 || w.n != 0 {
			t.Errorf("asked %d times, %d left", asked.Load(), w.n)
		}
	})
}

func TestMovingADeadlineAllocatesNothing(t *testing.T) {
	w := &wheel{now: func() int64 { return 1 }}
	w.stop = make(chan struct{}) // as if it ran
	b := &Binding{}
	w.add(b, int64(time.Minute))
	if n := testing.AllocsPerRun(1000, func() { w.hasten(b, 1); w.unlink(b); w.file(b, int64(time.Minute)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
