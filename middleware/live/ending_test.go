package live

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/securews/securews/middleware"
)

func TestExpiry(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		end := time.Now().Add(90 * time.Second)
		f := w.join(with(ann, func(p *middleware.Principal) { p.Expires = end }))
		far := w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }))
		time.Sleep(2 * time.Minute)
		wantEnded(t, f, "expired")
		if late := f.when().Sub(end); late < 0 || late > tick {
			t.Errorf("%v after the end of the credential", late)
		}
		wantEnded(t, far, "")
		far.Leave(nil)
	})
}

// stepWallClock has the wall clock of the registry's start differ from now's, as after a
// step, and leaves its monotonic reading.
func stepWallClock(g *Registry, seconds int64) {
	const secondsAt = 30 // time.Time keeps 30 bits of nanoseconds below
	wall := (*uint64)(unsafe.Pointer(&g.start))
	*wall -= uint64(seconds) << secondsAt
}

// Not in a bubble, where times have no monotonic reading.
func TestStepOfTheWallClockDoesNotMatter(t *testing.T) {
	for name, step := range map[string]int64{"an hour ahead": 3600, "an hour back": -3600, "ten years ahead": 10 * 365 * 24 * 3600} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{})
			p := with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(90 * time.Second).Round(0) }) // as one that is read
			// not open: the goroutine of the wheel would read the clock beside the step
			early := &fake{}
			if err := w.Reserve(&early.Binding, requestFrom("192.0.2.1:1")); err != nil {
				t.Fatal(err)
			}
			if err := early.Bind(t.Context(), w.voucher(p), early); err != nil {
				t.Fatal(err)
			}
			wall, began := w.start.Round(0), w.Now()
			w.Registry.events.flush() // its goroutine reads the clock
			stepWallClock(w.Registry, step)
			if got := wall.Sub(w.start.Round(0)); got != time.Duration(step)*time.Second {
				t.Fatalf("the wall clock has stepped by %v", got)
			}
			late := w.join(p)
			for _, f := range []*fake{early, late} {
				if left := time.Duration(f.expires - began); left < 89*time.Second || left > 91*time.Second {
					t.Errorf("ends in %v, want 90 s", left)
				}
				f.Leave(nil)
			}
			if passed := time.Duration(w.Now() - began); passed < 0 || passed > 10*time.Second {
				t.Errorf("the registry's time has moved by %v", passed)
			}
		})
	}
}

func TestMaxAgeHasJitter(t *testing.T) {
	const members = 300
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{MaxAge: time.Hour}}, func(t *testing.T, w *world) {
		all := w.joinMany(members, w.auth)
		began := time.Now()
		time.Sleep(61 * time.Minute)
		var first, last time.Duration
		for _, f := range all {
			wantEnded(t, f, "reauth")
			took := f.when().Sub(began)
			if took < 54*time.Minute || took > time.Hour+tick {
				t.Fatalf("ended after %v, want 54 min to an hour", took)
			}
			if first == 0 || took < first {
				first = took
			}
			last = max(last, took)
		}
		if last-first < 5*time.Minute {
			t.Errorf("all ended within %v", last-first)
		}
	})
}

func TestRevocationOverrulesAnotherCauseOnce(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		tests := []struct {
			sentence string
			first    []*Cause
			want     string
		}{
			{"the first cause counts", []*Cause{Restart, Expired, Later}, "restart"},
			{"forbidden overrules it, too", []*Cause{Restart, Forbidden}, "restart forbidden"},
			{"but a revocation does not overrule forbidden, which is as final", []*Cause{Forbidden, Revoked}, "forbidden"},
			{"a revocation overrules it", []*Cause{Restart, Revoked}, "restart revoked"},
			{"with an error behind it too", []*Cause{Expired, Revoked.Wrap(errors.New("x"))}, "expired revoked"},
			{"once", []*Cause{Restart, Revoked, Revoked.Wrap(errors.New("x")), Revoked}, "restart revoked"},
			{"and nothing overrules it", []*Cause{Revoked, Restart, Revoked}, "revoked"},
			{
				"a cause of the application counts as any other",
				[]*Cause{{Code: 4000, Reason: "kicked"}, Expired, Revoked},
				"kicked revoked",
			},
		}
		for _, tt := range tests {
			f := w.joinAs(&fake{stays: true}, w.auth, ann)
			for _, c := range tt.first {
				f.end(c)
			}
			if got := f.ended(); got != tt.want {
				t.Errorf("%s: ended %q, want %q", tt.sentence, got, tt.want)
			}
			f.Leave(nil)
			f.end(Revoked)
			if got := f.ended(); got != tt.want {
				t.Errorf("%s: ended %q after it has left", tt.sentence, got)
			}
		}
	})
}

func TestMemberThatEndsByItself(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.joinAs(&fake{stays: true}, w.auth, with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(time.Minute) }))
		f.Ending()
		w.store.asked()
		time.Sleep(10 * time.Minute)
		wantEnded(t, f, "")
		if n := w.store.asked(); n != 0 {
			t.Errorf("asked %d times", n)
		}
		w.store.revoke(names["session"])
		w.store.revoke(names["token"])
		wantEnded(t, f, "revoked")
		f.Leave(nil)
	})
}

// A revocation that comes while End is being called waits for it, without holding up those
// who revoke.
func TestCallsOfEndDoNotOverlap(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		inside := false
		f := &fake{stays: true}
		f.onEnd = func(c *Cause) {
			if inside {
				t.Error("two calls of End at once")
			}
			inside = true
			defer func() { inside = false }()
			if !errors.Is(c, Revoked) {
				var revoked sync.WaitGroup
				revoked.Go(func() { f.end(Revoked); f.end(Revoked) })
				revoked.Wait()
			}
		}
		w.joinAs(f, w.auth, ann)
		f.end(Restart)
		wantEnded(t, f, "restart revoked")
		f.Leave(nil)
	})
}

// Run with -race: Revoked comes last, however the causes come.
func TestEndsAreInOrder(t *testing.T) {
	w := newWorld(t, Config{})
	for range 500 {
		f := w.joinAs(&fake{stays: true}, w.auth, ann)
		var wg sync.WaitGroup
		for _, c := range []*Cause{Restart, Revoked, Expired, Revoked} {
			wg.Go(func() { f.end(c) })
		}
		wg.Wait()
		if got := f.ended(); got != "revoked" && got != "restart revoked" && got != "expired revoked" {
			t.Fatalf("ended %q", got)
		}
		f.Leave(nil)
	}
}

func TestPanicOfAMemberHarmsNoOther(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		bad := &fake{
			stays: true,
			next:  func(int64, bool) int64 { panic("a secret in Next") },
			onEnd: func(*Cause) { panic("a secret in End") },
		}
		w.joinAs(bad, w.auth, with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(2 * time.Minute) }))
		good := w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(3 * time.Minute) }))
		time.Sleep(4 * time.Minute)
		wantEnded(t, bad, "expired")
		wantEnded(t, good, "expired")
		w.store.revoke(names["session"])
		wantEnded(t, bad, "expired revoked")
		log := w.log.String()
		if n := strings.Count(log, "a Member panicked"); n != 1 {
			t.Errorf("%d log lines of the panics, want 1:\n%s", n, log)
		}
		if strings.Contains(log, "a secret in") || !strings.Contains(log, bad.ID()) {
			t.Errorf("the log shows the value, or does not name the member:\n%s", log)
		}
		bad.Leave(nil)
	})
}

func TestPanicOfEventsHarmsNoMember(t *testing.T) {
	inBubble(t, Config{Events: func(Event) { panic("no") }}, func(t *testing.T, w *world) {
		f := w.joinAs(&fake{stays: true}, w.auth, ann)
		w.store.revoke(names["session"])
		time.Sleep(time.Minute) // stuck, too
		wantEnded(t, f, "revoked")
		f.Leave(Revoked)
		if !strings.Contains(w.log.String(), "Config.Events panicked") {
			t.Error("it is not logged")
		}
	})
}

func TestEvents(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		opened := w.seen(Opened)
		if len(opened) != 1 || opened[0].ID != f.ID() || opened[0].Principal.Subject != "ann" || opened[0].Open != 1 {
			t.Errorf("opened: %+v", opened)
		}
		time.Sleep(time.Minute)
		f.end(Forbidden)
		f.Leave(Revoked) // it has left
		ended := w.seen(Ended)
		if len(ended) != 1 || !errors.Is(ended[0].Cause, Forbidden) || ended[0].ID != f.ID() || ended[0].Lasted != time.Minute ||
			ended[0].Open != 0 {
			t.Errorf("ended: %+v", ended)
		}
		w.Refused(middleware.ReasonOverloaded)
		if refused := w.seen(Refused); len(refused) != 1 || refused[0].Reason != "overloaded" || refused[0].ID != "" {
			t.Errorf("refused: %+v", refused)
		}
	})
}

func TestMemberThatWasNeverOpenHasNoEvents(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := &fake{}
		if err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
		if err := f.Bind(t.Context(), w.voucher(ann), f); err != nil {
			t.Fatal(err)
		}
		w.store.revoke(names["session"]) // leaves with the cause, before Open
		wantEnded(t, f, "revoked")
		f.Binding.Open()
		if len(w.events) != 0 {
			t.Errorf("%+v", w.events)
		}
	})
}

func TestStuckIsReportedOnce10SecondsAfterTheEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f, g := w.joinAs(&fake{stays: true}, w.auth, ann), w.join(ann)
		began := time.Now()
		w.store.revoke(names["session"])
		for len(w.seen(Stuck)) == 0 && time.Since(began) < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took < 10*time.Second || took > 10*time.Second+2*tick {
			t.Errorf("after %v, want 10 s", took)
		}
		time.Sleep(time.Hour)
		stuck := w.seen(Stuck)
		if len(stuck) != 1 || stuck[0].ID != f.ID() {
			t.Errorf("%+v", stuck)
		}
		if n := strings.Count(w.log.String(), "has not returned 10 s after its end"); n != 1 {
			t.Errorf("%d log lines", n)
		}
		if n, _ := f.calls(); n < 50 {
			t.Errorf("Next was called %d times in an hour, want at least once in 64 s", n)
		}
		f.Leave(nil)
		g.Leave(nil)
	})
}

func TestNextIsCalledWhenItSays(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		var at []int64
		f := &fake{next: func(now int64, _ bool) int64 { at = append(at, now); return now + int64(10*time.Second) }}
		w.joinAs(f, w.auth, ann)
		time.Sleep(35 * time.Second)
		f.Hasten(w.Now() + int64(time.Second))
		time.Sleep(2*time.Second + tick/2)
		synctest.Wait()
		if len(at) != 5 {
			t.Errorf("called %d times, want 5: at the first tick, every 10 s, and when hastened", len(at))
		}
		f.Leave(nil)
	})
}

func TestCauses(t *testing.T) {
	behind := errors.New("behind it")
	for _, c := range []*Cause{Expired, Reauth, Revoked, Forbidden, Restart, Later} {
		if err := error(c.Wrap(behind)); !errors.Is(err, c) || !errors.Is(err, behind) || !strings.Contains(err.Error(), c.Reason) {
			t.Errorf("%v", err)
		}
		for _, d := range []*Cause{Expired, Reauth, Revoked, Forbidden, Restart, Later} {
			if errors.Is(c, d) != (c == d) {
				t.Errorf("%v is %v", c, d)
			}
		}
	}
	for cause, code := range map[*Cause]uint16{Expired: 3000, Reauth: 3000, Revoked: 3000, Forbidden: 3003, Restart: 1012, Later: 1013} {
		if cause.Code != code {
			t.Errorf("%v: code %d, want %d", cause, cause.Code, code)
		}
	}
}
