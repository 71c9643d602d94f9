package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// idleUntil answers as a session that ends at that time, unless it is used.
func idleUntil(end time.Time) func(context.Context, middleware.Principal) error {
	return func(ctx context.Context, _ middleware.Principal) error {
		if !time.Now().Before(end) {
			return middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("idle"))
		}
		middleware.RecheckBy(ctx, end)
		return nil
	}
}

func by(end time.Time) middleware.Principal {
	return with(ann, func(p *middleware.Principal) { p.SetRecheckBy(contextkey.Key(), end) })
}

// wantEndedAt wants that the member has ended as "expired", at that time or one tick later.
func wantEndedAt(t *testing.T, f *fake, end time.Time) {
	t.Helper()
	wantEnded(t, f, "expired")
	if late := f.when().Sub(end); late < 0 || late > tick {
		t.Errorf("it ended %v late", late)
	}
}

// ASVS 7.3.1: the connections of a session end when it has not been used, not at the next recheck.
func TestIdleEndIsAskedForInTime(t *testing.T) {
	for name, idle := range map[string]time.Duration{
		"before the first recheck": 90 * time.Second, "after some rechecks": 31 * time.Minute, "almost at once": time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				end := time.Now().Add(idle)
				w.store.answer(idleUntil(end))
				f := w.join(by(end))
				time.Sleep(idle + time.Second)
				wantEndedAt(t, f, end)
			})
		})
	}
}

func TestIdleEndIsPutOffByUse(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		first, second := time.Now().Add(time.Minute), time.Now().Add(2*time.Minute)
		f, g := w.join(by(first)), w.join(by(first))
		w.store.asked()
		w.store.answer(idleUntil(second)) // used meanwhile, by a request
		time.Sleep(2*time.Minute + time.Second)
		wantEndedAt(t, f, second)
		wantEndedAt(t, g, second)
		if n := w.store.asked(); n != 2 {
			t.Errorf("asked %d times about one session, want 2", n)
		}
	})
}

// A renewed credential has an idle end of its own.
func TestReplaceHasItsOwnIdleEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		end := time.Now().Add(3 * time.Minute)
		f := w.join(ann)
		w.store.answer(idleUntil(end))
		if err := f.Replace(t.Context(), w.voucher(by(end))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Minute + time.Second)
		wantEndedAt(t, f, end)
	})
}

// A handler that takes longer than the session has left does not open anything for it.
func TestIdleEndBeforeBind(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		w.join(ann).Leave(nil) // the Auth is followed
		time.Sleep(time.Second)
		end := time.Now().Add(time.Minute)
		w.store.answer(idleUntil(end))
		v := w.voucher(by(end))
		time.Sleep(time.Minute)
		wantRefusal(t, w.try(&fake{}, v), 401, middleware.ReasonCredentialExpired)
	})
}

// An answer that asks for a time long after the next recheck changes nothing, and one that has passed is
// asked for less and less often: an authenticator may not end its credentials, or have a slow clock.
func TestRecheckByIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		by   func(now, start time.Time) time.Time
		want [2]int // questions in ten minutes, at least and at most
	}{
		"always the present":       {func(now, _ time.Time) time.Time { return now }, [2]int{600, 1201}},
		"always an hour ago":       {func(now, _ time.Time) time.Time { return now.Add(-time.Hour) }, [2]int{2, 14}},
		"a time that has passed":   {func(_, start time.Time) time.Time { return start }, [2]int{8, 14}},
		"a time after the recheck": {func(now, _ time.Time) time.Time { return now.Add(1000 * time.Hour) }, [2]int{2, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				start := time.Now()
				w.store.answer(func(ctx context.Context, _ middleware.Principal) error {
					middleware.RecheckBy(ctx, tt.by(time.Now(), start))
					return nil
				})
				f := w.join(by(start))
				w.store.asked()
				time.Sleep(10 * time.Minute)
				if n := w.store.asked(); n < tt.want[0] || n > tt.want[1] {
					t.Errorf("asked %d times in ten minutes, want %d to %d", n, tt.want[0], tt.want[1])
				}
				wantEnded(t, f, "")
				f.Leave(nil)
			})
		})
	}
}

// An authenticator that knows the end, and cannot tell whether the credential is alive, is asked at
// the end, too, not only when a question without an answer is tried again.
func TestIdleEndOfAnUnknownAnswer(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		w.join(ann).Leave(nil) // the Auth is followed
		time.Sleep(time.Second)
		start := time.Now()
		end := start.Add(62 * time.Second)
		w.store.answer(func(ctx context.Context, _ middleware.Principal) error {
			now := time.Now()
			if now.Before(end) {
				middleware.RecheckBy(ctx, end)
				return errors.New("another source is down")
			}
			return idleUntil(end)(ctx, ann)
		})
		f := w.join(by(start.Add(time.Minute)))
		time.Sleep(time.Minute + 10*time.Second)
		wantEndedAt(t, f, end)
	})
}
