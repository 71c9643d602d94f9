package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

func renewed(n int) middleware.Principal {
	return with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = fmt.Sprint("s", n), fmt.Sprint("t", n) })
}

func TestReplace(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(time.Minute) }))
		time.Sleep(30 * time.Second)
		next := with(renewed(2), func(p *middleware.Principal) { p.Expires = time.Now().Add(2 * time.Minute) })
		if err := f.Replace(t.Context(), w.voucher(next)); err != nil {
			t.Fatal(err)
		}
		if p := f.Principal(); p.SessionHandle != "s2" {
			t.Errorf("principal %+v", p)
		}
		w.store.tell(middleware.Revocation{SessionHandle: ann.SessionHandle})
		w.store.tell(middleware.Revocation{TokenHandle: ann.TokenHandle})
		time.Sleep(time.Minute)
		wantEnded(t, f, "") // neither by the end of the old credential nor by its revocation
		if n := len(w.List(ann.Issuer, "ann")); n != 1 {
			t.Errorf("%d in the list", n)
		}
		w.store.tell(middleware.Revocation{TokenHandle: "t2"})
		wantEnded(t, f, "revoked")
	})
}

func TestReplacedCredentialExpires(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		end := time.Now().Add(20 * time.Second)
		if err := f.Replace(t.Context(), w.voucher(with(renewed(2), func(p *middleware.Principal) { p.Expires = end }))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		wantEnded(t, f, "expired")
		if late := f.when().Sub(end); late < 0 || late > tick {
			t.Errorf("%v after the end", late)
		}
	})
}

func TestReplaceRefuses(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		sentence string
		err      func(t *testing.T, w *world, f *fake) error
		want     func(t *testing.T, err error)
	}{
		{"another subject", func(t *testing.T, w *world, f *fake) error {
			return f.Replace(t.Context(), w.voucher(with(renewed(2), func(p *middleware.Principal) { p.Subject = "bob" })))
		}, func(t *testing.T, err error) {
			if !errors.Is(err, errIdentity) {
				t.Error(err)
			}
		}},
		{"another issuer", func(t *testing.T, w *world, f *fake) error {
			return f.Replace(t.Context(), w.voucher(with(renewed(2), func(p *middleware.Principal) { p.Issuer = "https://other.example" })))
		}, func(t *testing.T, err error) {
			if !errors.Is(err, errIdentity) {
				t.Error(err)
			}
		}},
		{"no voucher", func(t *testing.T, w *world, f *fake) error { return f.Replace(t.Context(), nil) }, func(t *testing.T, err error) {
			if err == nil {
				t.Error("no error")
			}
		}},
		{"a credential that has expired", func(t *testing.T, w *world, f *fake) error {
			v := w.voucher(with(renewed(2), func(p *middleware.Principal) { p.Expires = time.Now().Add(time.Second) }))
			time.Sleep(time.Second)
			return f.Replace(t.Context(), v)
		}, func(t *testing.T, err error) { wantRefusal(t, err, 401, "credential_expired") }},
		{"a credential revoked since it was asked about", func(t *testing.T, w *world, f *fake) error {
			v := w.voucher(renewed(2))
			time.Sleep(time.Millisecond)
			w.store.revoke(middleware.Revocation{SessionHandle: "s2"})
			return f.Replace(t.Context(), v)
		}, func(t *testing.T, err error) { wantRefusal(t, err, 401, "credential_revoked") }},
		{"a credential that cannot be asked about", func(t *testing.T, w *world, f *fake) error {
			v := w.voucher(renewed(2))
			w.store.answer(func(context.Context, middleware.Principal) error { return down })
			for i := range ringSize {
				w.store.tell(middleware.Revocation{SessionHandle: fmt.Sprint("another ", i)})
			}
			return f.Replace(t.Context(), v)
		}, func(t *testing.T, err error) { wantRefusal(t, err, 503, "unavailable", "down") }},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				f := w.join(ann)
				time.Sleep(time.Millisecond)
				tt.want(t, tt.err(t, w, f))
				if p := f.Principal(); p.SessionHandle != ann.SessionHandle {
					t.Errorf("the principal is %+v", p)
				}
				wantEnded(t, f, "")
				w.store.revoke(names["session"])
				wantEnded(t, f, "revoked")
				w.store.answer(nil)
				if err := f.Replace(t.Context(), w.voucher(renewed(3))); !errors.Is(err, errLeft) {
					t.Errorf("after the end: %v", err)
				}
			})
		})
	}
}

// The answer about the old credential comes after the new one is there: the old one has
// ended, as at a renewal, and the member has not.
func TestAnswerAboutAReplacedCredentialDoesNotCount(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		time.Sleep(time.Millisecond)
		w.store.asked()
		w.store.answer(func(_ context.Context, p middleware.Principal) error {
			time.Sleep(time.Second)
			return w.store.good(p)
		})
		for len(w.store.peek()) == 0 {
			time.Sleep(tick)
		}
		if err := f.Replace(t.Context(), w.voucher(renewed(2))); err != nil {
			t.Fatal(err)
		}
		w.store.learn(names["session"])
		time.Sleep(time.Hour)
		wantEnded(t, f, "")
		if n := w.store.asked(); n < 12 {
			t.Errorf("asked %d times in an hour: the new credential is not asked about", n)
		}
		f.Leave(nil)
	})
}

// Members move to another Auth while they wait to be asked about: the old one is not asked
// any more, though they stand in its queue and wait for the new one too.
func TestReplaceByAnotherAuth(t *testing.T) {
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 30 * time.Second, Stale: 2 * time.Minute}}, func(t *testing.T, w *world) {
		next := newStore()
		a := authOver(t, next)
		all := w.joinMany(1500, w.auth)
		w.joinAs(&fake{}, a, ann).Leave(nil) // it is followed
		time.Sleep(time.Millisecond)
		w.store.answer(func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() })
		next.answer(func(context.Context, middleware.Principal) error { time.Sleep(time.Second); return nil })
		time.Sleep(30*time.Second + 2*tick)
		for _, f := range all {
			if err := f.Replace(t.Context(), w.voucherOf(a, f.Principal())); err != nil {
				t.Fatal(err)
			}
		}
		w.store.asked()
		next.asked()
		for i, f := range all {
			if p := f.Principal(); i%2 == 0 {
				next.tell(middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject})
			}
		}
		time.Sleep(time.Minute)
		about := map[string]bool{}
		for _, p := range next.peek() {
			about[p.Subject] = true
		}
		if old := w.store.asked(); old != 0 || len(about) != len(all) {
			t.Errorf("the old Auth was asked %d times, the new one about %d of %d", old, len(about), len(all))
		}
		if n := endedAs(all, ""); n != len(all) {
			t.Errorf("%d have ended", len(all)-n)
		}
		leaveAll(all)
	})
}

func TestReplaceWhileAMemberEnds(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.joinAs(&fake{stays: true}, w.auth, ann)
		f.end(Restart)
		if err := f.Replace(t.Context(), w.voucher(renewed(2))); !errors.Is(err, errLeft) {
			t.Error(err)
		}
		f.Leave(nil)
	})
}

// Run with -race: renewals, revocations and departures at once leave nothing behind, and no
// member with a revoked credential.
func TestReplaceRevokeAndLeaveInterleaved(t *testing.T) {
	w := newWorld(t, Config{Limits: many})
	w.join(ann).Leave(nil) // the Auth is followed
	for round := range 300 {
		members := make([]*fake, 4)
		for i := range members {
			members[i] = w.join(renewed(1000 * round))
		}
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() {
				for i, f := range members {
					if v, err := admit(w.auth, renewed(1000*round+n+i%2)); err == nil {
						_ = f.Replace(context.Background(), v)
					}
				}
			})
		}
		wg.Go(func() {
			for n := range 4 {
				w.store.revoke(middleware.Revocation{
					SessionHandle: fmt.Sprint("s", 1000*round+rand.IntN(4)),
					TokenHandle:   fmt.Sprint("t", 1000*round+n),
				})
			}
		})
		wg.Go(func() { members[rand.IntN(4)].Leave(nil) })
		wg.Wait()
		for n := range 4 {
			w.store.revoke(middleware.Revocation{TokenHandle: fmt.Sprint("t", 1000*round+n)})
		}
		for _, f := range members {
			if f.stage.Load() != left {
				t.Fatalf("round %d: a member with %+v is open, ended %q", round, f.Principal(), f.ended())
			}
		}
	}
	w.wantEmpty()
}

// A revocation of the new credential between the two questions of Replace ends the member.
func TestRevocationWhileReplacing(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		time.Sleep(time.Millisecond)
		v := w.voucher(renewed(2))
		time.Sleep(time.Millisecond)
		w.store.tell(names["subject"]) // so that Replace asks, twice
		synctest.Wait()
		questions := 0
		w.store.answer(func(_ context.Context, p middleware.Principal) error {
			if questions++; questions == 2 {
				w.store.learn(middleware.Revocation{SessionHandle: "s2"})
			}
			return w.store.good(p)
		})
		wantRefusal(t, f.Replace(t.Context(), v), 401, "credential_revoked")
		wantEnded(t, f, "revoked")
	})
}
