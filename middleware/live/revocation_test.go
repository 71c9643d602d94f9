package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// names are the ways in which a revocation names ann's credential.
var names = map[string]middleware.Revocation{
	"session":                    {SessionHandle: ann.SessionHandle},
	"token":                      {TokenHandle: ann.TokenHandle},
	"subject":                    {Issuer: ann.Issuer, Subject: ann.Subject},
	"subject under every issuer": {Subject: ann.Subject},
	"everything": {
		Issuer: ann.Issuer, Subject: ann.Subject,
		SessionHandle: ann.SessionHandle, TokenHandle: ann.TokenHandle,
	},
}

// The moments at which a revocation can come, in the life of a member.
const (
	beforeAsked = iota // the store knows, before the Auth asks
	beforeBind
	beforeOpen
	afterOpen
	moments
)

var momentNames = [moments]string{"before the Auth asks", "between asking and Bind", "between Bind and Open", "after Open"}

// A revocation ends the member, or is its refusal, at whatever moment the store learns of
// it, and at whatever later moment it tells its followers.
func TestRevocationAtEveryMoment(t *testing.T) {
	for name, v := range names {
		for learned := range moments {
			for told := learned; told < moments; told++ {
				for _, first := range []bool{true, false} {
					sentence := fmt.Sprintf("%s, known %s, told %s, first voucher %v", name, momentNames[learned], momentNames[told], first)
					t.Run(sentence, func(t *testing.T) {
						inBubble(t, Config{}, func(t *testing.T, w *world) { revokeAt(t, w, v, learned, told, first) })
					})
				}
			}
		}
	}
}

func revokeAt(t *testing.T, w *world, v middleware.Revocation, learned, told int, first bool) {
	if !first { // the Auth is followed already
		other := w.join(middleware.Principal{Issuer: "i", Subject: "other", SessionHandle: "other"})
		defer func() {
			if wantEnded(t, other, ""); other.ended() == "" {
				other.Leave(nil)
			}
		}()
		time.Sleep(time.Millisecond)
	}
	at := func(moment int) {
		if moment == learned {
			w.store.learn(v)
		}
		if moment == told {
			w.store.tell(v)
		}
		time.Sleep(time.Millisecond)
	}
	f := &fake{}
	err := func() error {
		at(beforeAsked)
		voucher, err := admit(w.auth, ann)
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		at(beforeBind)
		if err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1")); err != nil {
			return err
		}
		if err := f.Bind(t.Context(), voucher, f); err != nil {
			f.Leave(nil)
			return err
		}
		at(beforeOpen)
		f.Binding.Open()
		at(afterOpen)
		return nil
	}()
	if err == nil {
		time.Sleep(2 * tick)
		wantEnded(t, f, "revoked")
		return
	}
	wantRefusal(t, err, 401, "credential_revoked")
	wantEnded(t, f, "")
	if told < afterOpen {
		w.store.tell(v) // a second time is harmless
	}
}

func TestFirstVoucherAsksAndLaterOnesDoNot(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		first := w.join(ann)
		if n := w.store.asked(); n != 1 || w.store.followed != 1 {
			t.Errorf("the first voucher: asked %d times, followed %d times, want once", n, w.store.followed)
		}
		time.Sleep(time.Millisecond)
		early := w.voucher(ann) // before an unrelated revocation
		time.Sleep(time.Millisecond)
		w.store.revoke(middleware.Revocation{SessionHandle: "another"})
		w.store.revoke(middleware.Revocation{Issuer: ann.Issuer, Subject: "bob"})
		second, third := &fake{}, w.join(ann)
		if err := w.try(second, early); err != nil {
			t.Fatal(err)
		}
		if n := w.store.asked(); n != 0 || w.store.followed != 1 {
			t.Errorf("later vouchers: asked %d times, followed %d times", n, w.store.followed)
		}
		for _, f := range []*fake{first, second, third} {
			f.Leave(nil)
		}
	})
}

func TestVoucherOlderThanFollowAsksAgain(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		old := w.voucher(ann)
		time.Sleep(time.Millisecond)
		first := w.join(with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = "s2", "t2" }))
		w.store.asked()
		w.store.learn(names["session"]) // its followers were told before the registry followed
		wantRefusal(t, w.try(&fake{}, old), 401, "credential_revoked")
		if n := w.store.asked(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		first.Leave(nil)
	})
}

func TestSubjectInTheRingIsAskedAbout(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		first := w.join(with(ann, func(p *middleware.Principal) { p.Subject = "bob" }))
		time.Sleep(time.Millisecond)
		old := w.voucher(ann)
		time.Sleep(time.Millisecond)
		w.store.tell(names["subject"]) // of others of its sessions: the store says that this one is good
		w.store.asked()
		f := &fake{}
		if err := w.try(f, old); err != nil {
			t.Error(err)
		}
		if n := w.store.asked(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		first.Leave(nil)
		f.Leave(nil)
	})
}

func TestRingOverrunAsksAgain(t *testing.T) {
	for _, tt := range []struct {
		revocations, questions int
		sentence               string
	}{
		{ringSize - 1, 0, "a ring that reaches back tells"},
		{ringSize + 1, 1, "a ring that was overrun does not"},
		{3*ringSize + 7, 1, "however often"},
	} {
		for _, dead := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, revoked first of all: %v", tt.sentence, dead), func(t *testing.T) {
				inBubble(t, Config{}, func(t *testing.T, w *world) {
					first := w.join(with(ann,
						func(p *middleware.Principal) { p.Subject, p.SessionHandle, p.TokenHandle = "bob", "s2", "t2" }))
					time.Sleep(time.Millisecond)
					old := w.voucher(ann)
					time.Sleep(time.Millisecond)
					if dead {
						w.store.revoke(names["session"])
					}
					for i := range tt.revocations {
						w.store.tell(middleware.Revocation{SessionHandle: fmt.Sprint("session of another ", i)})
					}
					w.store.asked()
					f := &fake{}
					err := w.try(f, old)
					if dead {
						wantRefusal(t, err, 401, "credential_revoked")
					} else if n := w.store.asked(); n != tt.questions || err != nil {
						t.Errorf("asked %d times, want %d; error %v", n, tt.questions, err)
					}
					first.Leave(nil)
					f.Leave(nil)
				})
			})
		}
	}
}

// Followers may be called concurrently: whatever their order, the ring finds what came
// after a moment.
func TestRingIsInOrderOfTime(t *testing.T) {
	w := newWorld(t, Config{})
	f := w.join(ann)
	defer f.Leave(nil)
	fl := f.follow.Load()
	done := make(chan struct{})
	for worker := range 4 {
		go func() {
			for i := range 5000 {
				fl.revocations.add(w.Now, middleware.Revocation{SessionHandle: fmt.Sprint(worker, i)})
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	for i := range ringSize - 1 {
		r := &fl.revocations
		a, b := r.recent[(r.next+i)%ringSize], r.recent[(r.next+i+1)%ringSize]
		if a.at > b.at {
			t.Fatalf("%d before %d", a.at, b.at)
		}
	}
}

func TestSubjectEventAsksAboutEachMember(t *testing.T) {
	down := errors.New("down")
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		members := map[string]*fake{}
		first := w.joinAs(&fake{}, w.auth, with(ann, func(p *middleware.Principal) { p.Subject, p.SessionHandle = "bob", "another" }))
		for _, session := range []string{"good", "dead", "expired", "forbidden", "unknown"} {
			members[session] = w.join(with(ann, func(p *middleware.Principal) { p.SessionHandle = session }))
		}
		w.store.asked()
		w.store.answer(func(_ context.Context, p middleware.Principal) error {
			switch p.SessionHandle {
			case "good", "another":
				return nil
			case "dead":
				return middleware.Unauthorized(middleware.ReasonCredentialRevoked, errors.New("dead"))
			case "expired":
				return middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("expired"))
			case "forbidden":
				return middleware.Forbidden(errors.New("forbidden"))
			}
			return down
		})
		w.store.tell(names["subject"])
		for session, want := range map[string]string{
			"good": "",
			"dead": "revoked", "expired": "expired", "forbidden": "forbidden", "unknown": "later",
		} {
			wantEnded(t, members[session], want)
		}
		wantEnded(t, first, "")
		if n := w.store.asked(); n != len(members) {
			t.Errorf("asked %d times, want %d", n, len(members))
		}
		first.Leave(nil)
		members["good"].Leave(nil)
	})
}

// An answer that was under way when the subject's end was reported says nothing of it.
func TestQuestionUnderWayIsNoAnswerToAnEvent(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Recheck: time.Minute}}, func(t *testing.T, w *world) {
		f := w.join(ann)
		w.store.asked()
		w.store.answer(func(context.Context, middleware.Principal) error { time.Sleep(time.Second); return nil })
		for len(w.store.peek()) == 0 { // until the recheck asks
			time.Sleep(tick)
		}
		w.store.answer(nil)
		w.store.revoke(names["subject"])
		time.Sleep(3 * time.Second)
		wantEnded(t, f, "revoked")
	})
}

func (s *store) peek() []middleware.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.questions
}

// The same with the report at any step at which the answer is taken.
func TestReportsAndAnswersInterleaved(t *testing.T) {
	w := newWorld(t, Config{})
	w.join(ann).Leave(nil) // the Auth is followed
	for range 2000 {
		f := w.join(ann)
		question, ok := f.joins(f.follow.Load(), f.principal.Load())
		if !ok {
			t.Fatal("it cannot be asked about")
		}
		var wg sync.WaitGroup
		wg.Go(func() { question.takeAnswer(nil, nil, 0) })
		w.store.revoke(names["subject"])
		wg.Wait()
		for deadline := time.Now().Add(patience); f.ended() == "" && time.Now().Before(deadline); {
			time.Sleep(10 * time.Microsecond)
		}
		if f.ended() != "revoked" {
			t.Fatalf("ended %q: the report is lost", f.ended())
		}
		w.store.mu.Lock()
		clear(w.store.dead)
		w.store.mu.Unlock()
	}
}

func TestEventReachesMembersOfItsAuthOnly(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		other := newStore()
		f, g := w.join(ann), w.joinAs(&fake{}, authOver(t, other), ann)
		other.asked()
		other.answer(func(context.Context, middleware.Principal) error { return errors.New("down") })
		w.store.revoke(names["subject"])
		wantEnded(t, f, "revoked")
		wantEnded(t, g, "")
		if n := other.asked(); n != 0 {
			t.Errorf("the other Auth was asked %d times about an event that is not its own", n)
		}
		g.Leave(nil)
	})
}

// The exact handles of a session end it wherever it is bound.
func TestHandleEndsMembersOfEveryAuth(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f, g := w.join(ann), w.joinAs(&fake{}, authOver(t, newStore()), ann)
		w.store.revoke(names["session"])
		wantEnded(t, f, "revoked")
		wantEnded(t, g, "revoked")
	})
}

func TestUrgentQuestionsComeFirst(t *testing.T) {
	const members = 500
	inBubble(t, Config{Limits: Limits{PerAddress: 1000}, Timeouts: Timeouts{Recheck: 20 * time.Second, Stale: time.Hour}},
		func(t *testing.T, w *world) {
			f := w.join(ann)
			others := make([]*fake, members)
			for i := range others {
				others[i] = w.join(middleware.Principal{Issuer: "i", Subject: fmt.Sprint(i), SessionHandle: fmt.Sprint("s", i)})
			}
			w.store.answer(func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() })
			time.Sleep(25 * time.Second) // all wait
			w.store.learn(names["subject"])
			w.store.answer(func(_ context.Context, p middleware.Principal) error { time.Sleep(time.Second); return w.store.good(p) })
			began := time.Now()
			w.store.tell(names["subject"])
			time.Sleep(30 * time.Second)
			wantEnded(t, f, "revoked")
			if took := f.when().Sub(began); took > 4*time.Second {
				t.Errorf("took %v: it waited behind rechecks", took)
			}
			for _, o := range others {
				o.Leave(nil)
			}
			synctest.Wait()
		})
}
