package live

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// Config.Events gets every event, in their order and one at a time, while it is slow; and
// Shutdown waits for the last.
func TestEventsComeInOrder(t *testing.T) {
	var got []string
	var calls, done atomic.Int32
	cfg := Config{Events: func(e Event) {
		if calls.Add(1) > 1 {
			t.Error("two calls at once")
		}
		time.Sleep(time.Millisecond)
		got = append(got, fmt.Sprint(e.Kind, " ", e.Reason))
		calls.Add(-1)
		done.Add(1)
	}}
	inBubble(t, cfg, func(t *testing.T, w *world) {
		var want []string
		for i := range 200 {
			w.Refused(middleware.Reason(fmt.Sprint(i)))
			want = append(want, fmt.Sprint(Refused, " ", i))
		}
		f := w.join(ann)
		want = append(want, fmt.Sprint(Opened, " "))
		f.Leave(Revoked)
		want = append(want, fmt.Sprint(Ended, " "))
		if n := done.Load(); n != 0 {
			t.Errorf("%d calls: what happens waits for them", n)
		}
		if err := w.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// Faults row 37: Events that do not return keep a bounded number of events; those that are dropped
// are counted in the log once they return.
func TestEventsThatBlockAreBounded(t *testing.T) {
	release := make(chan struct{})
	taken := 0
	cfg := Config{Limits: Limits{Connections: 256}, Events: func(Event) { <-release; taken++ }}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		w := newWorld(t, cfg)
		w.Refused("first")
		synctest.Wait() // it is being called
		for range 2000 {
			w.Refused("later")
		}
		begun := time.Now()
		if err := w.Shutdown(t.Context()); err != nil || time.Since(begun) > eventsTimeout {
			t.Errorf("Shutdown: %v, %v", err, time.Since(begun))
		}
		close(release)
		synctest.Wait()
		if s := w.log.String(); taken != 1+4*256 || !strings.Contains(s, "dropped=976") || strings.Count(s, "\n") != 1 {
			t.Errorf("called %d times:\n%s", taken, s)
		}
	})
}

// A panic of Events is logged once in 10 s, and not its value, unless DangerouslyLogPanicText
// asks for it.
func TestEventsThatPanicAreLoggedAtABoundedRate(t *testing.T) {
	for text, want := range map[bool]int{false: 0, true: 3} {
		inBubble(t, Config{Events: func(Event) { panic("hunter2") }}, func(t *testing.T, w *world) {
			if text {
				w.cfg.Log = middleware.DangerouslyLogPanicText(w.cfg.Log)
			}
			for range 3 {
				for range 100 {
					w.Refused("x")
				}
				time.Sleep(11 * time.Second)
			}
			s := w.log.String()
			if strings.Count(s, "Config.Events panicked") != 3 || strings.Count(s, "hunter2") != want ||
				!strings.Contains(s, "panics=100") {
				t.Errorf("want three lines, and the value %d times:\n%s", want, s)
			}
		})
	}
}

// foreign is a member of other code.
type foreign struct {
	Binding
	next  func(now int64) int64
	calls atomic.Int32
}

func (f *foreign) End(cause *Cause) { f.Leave(cause) }

func (f *foreign) Next(now int64, _ bool) int64 {
	f.calls.Add(1)
	return f.next(now)
}

func (w *world) joinForeign(f *foreign) {
	w.t.Helper()
	r := requestFrom("192.0.2.1:1234")
	if err := w.Reserve(&f.Binding, r); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Bind(r.Context(), w.voucher(ann), f); err != nil {
		w.t.Fatal(err)
	}
	f.Open()
}

// The Next of a member of other code is called in its time, as that of ours is.
func TestForeignMembersAreCalledInTime(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		var late time.Duration
		var due int64
		f := &foreign{}
		f.next = func(now int64) int64 {
			if due != 0 {
				late = max(late, time.Duration(now-due))
			}
			due = now + int64(10*time.Second)
			return due
		}
		w.joinForeign(f)
		time.Sleep(101 * time.Second)
		synctest.Wait()
		if n := f.calls.Load(); n < 10 || n > 12 || late > tick {
			t.Errorf("called %d times, up to %v late", n, late)
		}
		if !w.End(ann.Issuer, ann.Subject, f.ID(), nil) {
			t.Error("it is not found")
		}
	})
}

// One whose Next takes its time is not called twice at once, and is called again for what
// came meanwhile.
func TestForeignMemberIsCalledOneAtATime(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		var calls atomic.Int32
		f := &foreign{}
		f.next = func(int64) int64 {
			if calls.Add(1) > 1 {
				t.Error("two calls at once")
			}
			time.Sleep(5 * time.Second)
			calls.Add(-1)
			return 0
		}
		w.joinForeign(f)
		time.Sleep(time.Second)
		for range 10 {
			f.Hasten(w.Now())
			time.Sleep(tick)
		}
		time.Sleep(20 * time.Second)
		if n := f.calls.Load(); n != 2 {
			t.Errorf("called %d times, want 2: at first, and for what was hastened meanwhile", n)
		}
		w.End(ann.Issuer, ann.Subject, f.ID(), nil)
	})
}
