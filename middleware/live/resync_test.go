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

var resync = middleware.Revocation{Resync: true}

// Each member is asked about once, at most 64 at a time, and those that have ended without a word
// end then, not at their next recheck.
func TestResyncAsksAboutEveryMember(t *testing.T) {
	const members = 10_000
	inBubble(t, Config{Limits: many}, func(t *testing.T, w *world) {
		all := w.joinMany(members, w.auth)
		another := newStore()
		others := w.joinMany(10, authOver(t, another))
		w.store.asked()
		another.asked()
		time.Sleep(time.Minute)
		w.store.learn(middleware.Revocation{SessionHandle: "session 0"})
		w.store.learn(middleware.Revocation{Subject: "subject 9999"})
		var asking, most atomic.Int64
		w.store.answer(func(_ context.Context, p middleware.Principal) error {
			if n := asking.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer asking.Add(-1)
			time.Sleep(10 * time.Millisecond)
			return w.store.good(p)
		})
		began := time.Now()
		w.store.tell(resync)
		if took := time.Since(began); took > 0 {
			t.Errorf("the follower waited %v for the answers", took)
		}
		time.Sleep(2 * time.Second) // 10,000 questions of 10 ms, 64 at a time, last 1.6 s
		if n := w.store.asked(); n != members {
			t.Errorf("asked %d times, want once for each of %d members", n, members)
		}
		if n := most.Load(); n > 64 {
			t.Errorf("%d questions were under way, want at most 64", n)
		}
		if n := endedAs(all, ""); n != members-2 {
			t.Errorf("%d members live, want all but 2", n)
		}
		wantEnded(t, all[0], "revoked")
		wantEnded(t, all[9999], "revoked")
		if n := another.asked(); n != 0 {
			t.Errorf("another Auth was asked %d times", n)
		}
		leaveAll(all[1 : members-1])
		leaveAll(others)
	})
}

// No answer after a resync is no end: the members have until Stale, and the questions go on.
func TestResyncWithoutAnswersEndsAtStale(t *testing.T) {
	inBubble(t, Config{Limits: many, Timeouts: Timeouts{Recheck: 5 * time.Minute, Stale: 10 * time.Minute}}, func(t *testing.T, w *world) {
		began := time.Now()
		all := w.joinMany(100, w.auth)
		time.Sleep(time.Minute)
		w.store.asked()
		w.store.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		w.store.tell(resync)
		time.Sleep(8*time.Minute + 55*time.Second)
		if n := endedAs(all, ""); n != len(all) {
			t.Errorf("%d members have ended before Stale", len(all)-n)
		}
		if n := w.store.asked(); n < 40*len(all) {
			t.Errorf("asked %d times in 9 minutes, want every 5 to 10 s about each of %d members", n, len(all))
		}
		time.Sleep(15 * time.Second)
		if n := endedAs(all, "later"); n != len(all) {
			t.Errorf("%d of %d members have ended with later", n, len(all))
		}
		for _, f := range all {
			if took := f.when().Sub(began); took < 10*time.Minute-time.Second {
				t.Fatalf("ended after %v, want 10 minutes", took)
			}
		}
	})
}

// The answer to a question that was under way may be of before the resync.
func TestResyncDuringAQuestionAsksAgain(t *testing.T) {
	for name, early := range map[string]error{"good": nil, "missing": errors.New("down")} {
		t.Run("the early answer is "+name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				f := w.join(ann)
				w.store.asked()
				answers := make(chan error)
				w.store.answer(func(context.Context, middleware.Principal) error { return <-answers })
				w.store.tell(resync)
				synctest.Wait() // the question is under way
				w.store.tell(resync)
				answers <- early
				synctest.Wait()
				if n := w.store.asked(); n != 2 {
					t.Errorf("asked %d times, want a second time", n)
				}
				wantEnded(t, f, "")
				answers <- middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("x"))
				wantEnded(t, f, "revoked")
			})
		})
	}
}

// A resync takes nothing back: a member whose subject was reported to have ended ends if there is no
// answer about it.
func TestResyncKeepsAReport(t *testing.T) {
	report := middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject}
	for name, tt := range map[string]struct {
		told []middleware.Revocation
		want string
	}{
		"a report":                   {[]middleware.Revocation{report}, "later"},
		"a report, then a resync":    {[]middleware.Revocation{report, resync}, "later"},
		"a resync, then a report":    {[]middleware.Revocation{resync, report}, "later"},
		"a report between two":       {[]middleware.Revocation{resync, report, resync}, "later"},
		"a report that has a resync": {[]middleware.Revocation{{Issuer: ann.Issuer, Subject: ann.Subject, Resync: true}}, "later"},
		"a resync":                   {[]middleware.Revocation{resync}, ""},
		"two resyncs":                {[]middleware.Revocation{resync, resync}, ""},
	} {
		for _, each := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, Config{}, func(t *testing.T, w *world) {
					f := w.join(ann)
					w.store.answer(func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() })
					for _, v := range tt.told {
						go w.store.tell(v)
						if each {
							synctest.Wait() // its question is under way
						}
					}
					time.Sleep(20 * time.Second)
					wantEnded(t, f, tt.want)
					if tt.want == "" {
						f.Leave(nil)
					}
				})
			})
		}
	}
}

// After a good answer a report is settled, and a later resync does not bring it back.
func TestResyncAfterASettledReport(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		w.store.tell(middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject})
		synctest.Wait()
		w.store.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		w.store.tell(resync)
		time.Sleep(time.Minute)
		wantEnded(t, f, "")
		f.Leave(nil)
	})
}

// A handshake whose credential was asked about before a resync asks again.
func TestResyncDuringAHandshake(t *testing.T) {
	for name, ended := range map[string]bool{"of a session that lives": false, "of one that has ended": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				other := w.join(with(ann, func(p *middleware.Principal) { p.Subject, p.SessionHandle, p.TokenHandle = "bob", "s2", "t2" }))
				time.Sleep(time.Millisecond)
				early := w.voucher(ann)
				time.Sleep(time.Millisecond)
				if ended {
					w.store.learn(names["session"])
				}
				w.store.tell(resync)
				synctest.Wait()
				w.store.asked()
				f := &fake{}
				err := w.try(f, early)
				if n := w.store.asked(); n != 1 {
					t.Errorf("asked %d times, want once more", n)
				}
				if ended {
					wantRefusal(t, err, 401, "credential_revoked")
				} else if err != nil {
					t.Error(err)
				} else {
					f.Leave(nil)
				}
				other.Leave(nil)
			})
		})
	}
}
