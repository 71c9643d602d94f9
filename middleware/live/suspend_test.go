package live

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

func TestLag(t *testing.T) {
	t.Parallel()
	const ms, hour = int64(time.Millisecond), int64(time.Hour)
	for _, tt := range []struct {
		sentence string
		first    int64
		readings []int64
		want     []int64
	}{
		{"clocks that agree", 0, []int64{0, 0, 0}, []int64{0, 0, 0}},
		{"a lag from before does not count", hour, []int64{hour, hour + ms}, []int64{0, 0}},
		{"a suspended machine", 0, []int64{hour, hour, hour + ms}, []int64{hour, 0, 0}},
		{"it is suspended again", 0, []int64{hour, 3 * hour}, []int64{hour, 2 * hour}},
		{"small corrections add up", 0, []int64{400 * ms, 800 * ms, 1200 * ms, 1600 * ms}, []int64{0, 0, 1200 * ms, 0}},
		{"readings that jitter", 5 * ms, []int64{-5 * ms, 5 * ms, 0, 5 * ms}, []int64{0, 0, 0, 0}},
		{"a wall clock that is set back", 0, []int64{-hour, -hour}, []int64{0, 0}},
		{"and a suspension after it", 0, []int64{-hour, hour}, []int64{0, 2 * hour}},
	} {
		reading := tt.first
		l := lag{behind: func(int64) int64 { return reading }}
		l.begin(0)
		for i, is := range tt.readings {
			reading = is
			if got := l.grown(0); got != tt.want[i] {
				t.Errorf("%s: reading %d: %v, want %v", tt.sentence, i, time.Duration(got), time.Duration(tt.want[i]))
			}
		}
	}
}

// suspended is a world whose machine was suspended: the wall clock is that much ahead. The times of
// principals are given by it.
func suspended(t *testing.T, cfg Config, fn func(t *testing.T, w *world, resume func(time.Duration, ...*fake))) {
	inBubble(t, cfg, func(t *testing.T, w *world) {
		var asleep atomic.Int64
		w.wheel.lag.behind = func(int64) int64 { return asleep.Load() }
		fn(t, w, func(gap time.Duration, members ...*fake) {
			for _, f := range members { // when it was computed, the clocks agreed
				f.mu.Lock()
				if f.Binding.mu.Lock(); f.expires != 0 {
					f.expires += int64(gap)
				}
				f.Binding.mu.Unlock()
				f.mu.Unlock()
			}
			asleep.Add(int64(gap))
		})
	})
}

func wantEndedAfter(t *testing.T, f *fake, began time.Time, least, most time.Duration) {
	t.Helper()
	synctest.Wait()
	if took := f.when().Sub(began); took < least || took > most {
		t.Errorf("ended after %v, want %v to %v", took, least, most)
	}
}

// No member lives longer by the time that the machine was suspended.
func TestSuspensionEndsCredentialsByTheWallClock(t *testing.T) {
	suspended(t, Config{}, func(t *testing.T, w *world, resume func(time.Duration, ...*fake)) {
		expires := func(d time.Duration) *fake {
			return w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(d) }))
		}
		soon, later := expires(61*time.Second), expires(31*time.Minute)
		time.Sleep(time.Minute)
		began := time.Now()
		resume(8*time.Hour, soon, later)
		time.Sleep(time.Hour)
		wantEnded(t, soon, "expired")
		wantEndedAfter(t, soon, began, time.Second, time.Second+tick)
		wantEnded(t, later, "expired")
		wantEndedAfter(t, later, began, 30*time.Minute, 30*time.Minute+tick)
	})
}

func TestSuspensionCountsForMaxAge(t *testing.T) {
	suspended(t, Config{Timeouts: Timeouts{MaxAge: 24 * time.Hour}}, func(t *testing.T, w *world, resume func(time.Duration, ...*fake)) {
		began := time.Now()
		old := w.join(ann)
		resume(20*time.Hour, old)
		time.Sleep(time.Second)
		late := w.join(ann) // opened afterwards: nothing counts
		time.Sleep(4 * time.Hour)
		wantEnded(t, old, "reauth")
		wantEndedAfter(t, old, began, 24*time.Hour*9/10-20*time.Hour, 4*time.Hour+tick)
		wantEnded(t, late, "")
		if info := w.List(ann.Issuer, ann.Subject); len(info) != 1 || info[0].Opened.Sub(began.Add(20*time.Hour)).Abs() > 2*time.Second {
			t.Errorf("listed %v, opened at %v by the wall clock", info, began.Add(20*time.Hour))
		}
		late.Leave(nil)
	})
}

// Every member is asked about at once, since its last answer may be old.
func TestSuspensionAsksAtOnce(t *testing.T) {
	cfg := Config{Timeouts: Timeouts{Recheck: 5 * time.Minute, Stale: 15 * time.Minute}}
	for _, tt := range []struct {
		name   string
		asleep time.Duration
		change func(w *world)
		want   string
		within time.Duration
	}{
		{name: "it is good", asleep: 8 * time.Hour, change: func(*world) {}},
		{
			name: "another process has signed the user out", asleep: 8 * time.Hour,
			change: func(w *world) { w.store.learn(names["session"]) }, want: "revoked", within: 2 * tick,
		},
		{name: "nothing answers, and the last answer is too old", asleep: 8 * time.Hour, change: func(w *world) {
			w.store.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		}, want: "later", within: 20*time.Second + tick},
		{name: "nothing answers, and the last answer is not too old", asleep: 4 * time.Minute, change: func(w *world) {
			w.store.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		}, want: "later", within: 10*time.Minute + tick},
		{name: "the first question hangs", asleep: 8 * time.Hour, change: func(w *world) {
			w.store.answer(func(ctx context.Context, _ middleware.Principal) error {
				w.store.answer(nil)
				<-ctx.Done()
				return ctx.Err()
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			suspended(t, cfg, func(t *testing.T, w *world, resume func(time.Duration, ...*fake)) {
				f := w.join(ann)
				time.Sleep(time.Minute)
				w.store.asked()
				began := time.Now()
				tt.change(w)
				resume(tt.asleep, f)
				time.Sleep(2 * tick)
				if n := w.store.asked(); n != 1 {
					t.Errorf("asked %d times", n)
				}
				time.Sleep(13 * time.Minute)
				wantEnded(t, f, tt.want)
				if tt.want != "" {
					wantEndedAfter(t, f, began, 0, tt.within)
				}
				f.Leave(nil)
			})
		})
	}
}

// A wall clock that is set back does not lengthen the life of a credential.
func TestWallClockThatIsSetBack(t *testing.T) {
	suspended(t, Config{}, func(t *testing.T, w *world, resume func(time.Duration, ...*fake)) {
		f := w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(2 * time.Hour) }))
		began := time.Now()
		w.store.asked()
		resume(-time.Hour, f)
		time.Sleep(2 * tick)
		if n := w.store.asked(); n != 0 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(3 * time.Hour)
		wantEnded(t, f, "expired")
		wantEndedAfter(t, f, began, time.Hour, time.Hour+tick)
	})
}
