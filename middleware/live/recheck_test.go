package live

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// many has room for all members of a test, from one address and of one principal.
var many = Limits{Connections: 20_000, PerPrincipal: 20_000, PerAddress: 20_000}

// joinMany opens n members, each of a session of its own.
func (w *world) joinMany(n int, a *middleware.Auth) []*fake {
	members := make([]*fake, n)
	for i := range members {
		members[i] = w.joinAs(&fake{}, a,
			middleware.Principal{Issuer: "i", Subject: fmt.Sprint("subject ", i), SessionHandle: fmt.Sprint("session ", i)})
	}
	return members
}

func leaveAll(members []*fake) {
	for _, f := range members {
		f.Leave(nil)
	}
}

func endedAs(members []*fake, want string) (n int) {
	for _, f := range members {
		if f.ended() == want {
			n++
		}
	}
	return n
}

func TestOneQuestionPerSessionAndRound(t *testing.T) {
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 5 * time.Minute}}, func(t *testing.T, w *world) {
		w.store.answer(func(context.Context, middleware.Principal) error { time.Sleep(1500 * time.Millisecond); return nil })
		members := make([]*fake, 1000)
		for i := range members {
			members[i] = w.join(ann)
		}
		w.store.asked()
		time.Sleep(time.Hour)
		// A round is as long as the pause of the member that is asked first: 4 to 5 min.
		if n := w.store.asked(); n < 12 || n > 15 {
			t.Errorf("asked %d times in an hour about one session, want 12 to 15", n)
		}
		leaveAll(members)
	})
}

func TestQuestionsOfAThousandSessionsAreSpread(t *testing.T) {
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 5 * time.Minute}}, func(t *testing.T, w *world) {
		members := w.joinMany(1000, w.auth)
		w.store.asked()
		time.Sleep(4*time.Minute - time.Second)
		if n := w.store.asked(); n != 0 {
			t.Errorf("asked %d times before 4 min", n)
		}
		most, all := 0, 0
		for range 63 {
			time.Sleep(time.Second)
			n := w.store.asked()
			most, all = max(most, n), all+n
		}
		if all != 1000 || most > 60 {
			t.Errorf("asked %d times, want 1000; %d within one second, want at most 60", all, most)
		}
		leaveAll(members)
	})
}

func TestFailedQuestionIsRetried(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		w.store.asked()
		w.store.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		time.Sleep(5*time.Minute + time.Minute)
		if n := w.store.asked(); n < 6 || n > 24 {
			t.Errorf("asked %d times in 1 to 2 min, want every 5 to 10 s", n)
		}
		w.store.answer(nil)
		time.Sleep(11 * time.Second)
		w.store.asked()
		time.Sleep(3 * time.Minute)
		if n := w.store.asked(); n != 0 {
			t.Errorf("asked %d times after a good answer", n)
		}
		time.Sleep(time.Hour)
		wantEnded(t, f, "")
		if n := strings.Count(w.log.String(), "could not be asked about"); n < 1 || n > 13 {
			t.Errorf("%d log lines, want at most one in 10 s", n)
		}
		f.Leave(nil)
	})
}

func TestAnswersEndAMember(t *testing.T) {
	for reason, answer := range map[string]error{
		"revoked":   middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("x")),
		"expired":   middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("x")),
		"reauth":    middleware.Unauthorized(middleware.ReasonCredentialOutdated, errors.New("x")),
		"forbidden": middleware.Forbidden(errors.New("x")),
	} {
		t.Run(reason, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				f, g := w.join(ann), w.join(ann)
				w.store.answer(func(context.Context, middleware.Principal) error { return answer })
				time.Sleep(5*time.Minute + tick)
				wantEnded(t, f, reason)
				wantEnded(t, g, reason)
			})
		})
	}
}

// L11: a question that waits for a worker is not one without an answer.
func TestWaitingForAWorkerIsNotStale(t *testing.T) {
	const members = 1500
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 30 * time.Second, Stale: time.Minute}}, func(t *testing.T, w *world) {
		all := w.joinMany(members, w.auth)
		w.store.answer(func(context.Context, middleware.Principal) error { time.Sleep(1999 * time.Millisecond); return nil })
		time.Sleep(time.Hour)
		if n := endedAs(all, ""); n != members {
			t.Errorf("%d of %d have ended", members-n, members)
		}
		leaveAll(all)
	})
}

func TestStoreWithoutAnswersEndsAllAtStale(t *testing.T) {
	const members = 1500
	answers := map[string]func(context.Context, middleware.Principal) error{
		"an error at once":     func(context.Context, middleware.Principal) error { return errors.New("down") },
		"nothing within 2 s":   func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() },
		"a panic":              func(context.Context, middleware.Principal) error { panic("down") },
		"the end of goroutine": func(context.Context, middleware.Principal) error { runtime.Goexit(); return nil },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 30 * time.Second, Stale: time.Minute}},
				func(t *testing.T, w *world) {
					all := w.joinMany(members, w.auth)
					began := time.Now()
					w.store.answer(answer)
					time.Sleep(90 * time.Second)
					if n := endedAs(all, "later"); n != members {
						t.Errorf("%d of %d have ended later", n, members)
					}
					for _, f := range all {
						if took := f.when().Sub(began); took < 59*time.Second || took > 65*time.Second {
							t.Fatalf("ended after %v, want a minute", took)
						}
					}
				})
		})
	}
}

// An Alive that returns at no time, whatever its context: the members of other Auths are
// not affected, nor is the wheel, and the goroutines are bounded.
func TestAliveThatBlocksForEver(t *testing.T) {
	const members = 1500
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 30 * time.Second, Stale: time.Minute}}, func(t *testing.T, w *world) {
		never := make(chan struct{})
		before := inThisBubble()
		hung := newStore()
		hungAuth := authOver(t, hung)
		stuck := w.joinMany(members, hungAuth)
		others := w.joinMany(20, w.auth)
		began := time.Now()
		hung.answer(func(context.Context, middleware.Principal) error { <-never; return nil })
		w.store.asked()
		expires := w.join(with(ann, func(p *middleware.Principal) { p.Expires = time.Now().Add(50 * time.Second) }))
		most := 0
		for range 100 {
			time.Sleep(time.Second)
			most = max(most, inThisBubble())
		}
		wantEnded(t, expires, "expired")
		if took := expires.when().Sub(began); took > 50*time.Second+tick {
			t.Errorf("the wheel is late: %v", took)
		}
		if n := endedAs(stuck, "later"); n != members {
			t.Errorf("%d of %d have ended later", n, members)
		}
		if n := endedAs(others, ""); n != len(others) {
			t.Errorf("%d members of another Auth have ended", len(others)-n)
		}
		if n := w.store.asked(); n < 60 || n > 81 {
			t.Errorf("the other Auth was asked %d times, want 60 to 81", n)
		}
		if most-before > 256+maxAsking+30 {
			t.Errorf("%d goroutines, %d before", most, before)
		}
		close(never)
		leaveAll(others)
	})
}

// Members that come and go while the Auth is slow leave nothing behind.
func TestMembersThatLeaveWhileTheyWait(t *testing.T) {
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 30 * time.Second, Stale: time.Minute}}, func(t *testing.T, w *world) {
		all := w.joinMany(1000, w.auth)
		w.store.answer(func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() })
		time.Sleep(31 * time.Second)
		w.store.asked()
		leaveAll(all)
		time.Sleep(10 * time.Second)
		if n := w.store.asked(); n > maxAsking {
			t.Errorf("asked %d times about members that have left", n)
		}
	})
}

func TestMembersOfAnAuthThatCannotRevokeAreNotAskedAbout(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		v, err := authOver(t, middleware.Anonymous()).Admit(requestFrom("192.0.2.1:1"))
		if err != nil {
			t.Fatal(err)
		}
		voucher, _ := middleware.VoucherFrom(v.Context())
		f := &fake{}
		if err := w.try(f, voucher); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Hour)
		wantEnded(t, f, "")
		f.Leave(nil)
	})
}

func TestFollowThatBlocksForEver(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		never := make(chan struct{})
		hung := newStore()
		var calls atomic.Int64
		hung.follow = func() { calls.Add(1); <-never }
		a := authOver(t, hung)
		for range 10 {
			began := time.Now()
			wantRefusal(t, w.try(&fake{}, w.voucherOf(a, ann)), 503, "unavailable", "Follow")
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %v, want at most 2 s", took)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls of Follow are under way", n)
		}
		f := w.join(ann)
		wantEnded(t, f, "")
		f.Leave(nil)
		close(never)
		synctest.Wait()
		w.joinAs(&fake{}, a, ann).Leave(nil) // it has returned, and is followed
		if hung.followed != 1 {
			t.Errorf("followed %d times", hung.followed)
		}
	})
}

func TestFollowIsBoundedByTheContext(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		never := make(chan struct{})
		w.store.follow = func() { <-never }
		f := &fake{}
		if err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantRefusal(t, f.Bind(ctx, w.voucher(ann), f), 503, "unavailable")
		f.Leave(nil)
		close(never)
	})
}

func TestFollowThatPanicsIsTriedAgain(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		broken := newStore()
		broken.follow = func() { panic("secret") }
		a := authOver(t, broken)
		for range 3 {
			err := w.try(&fake{}, w.voucherOf(a, ann))
			wantRefusal(t, err, 503, "unavailable", "Follow", "panic")
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v shows the value of the panic", err)
			}
		}
		w.join(ann).Leave(nil)
		broken.follow = nil
		f := w.joinAs(&fake{}, a, ann)
		broken.revoke(names["session"])
		wantEnded(t, f, "revoked")
	})
}
