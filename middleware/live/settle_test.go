package live

import (
	"context"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// WaitForReports replaces reportTimeout, for tests on a machine that takes longer to answer. It is
// called before the first revocation.
func (g *Registry) WaitForReports(most time.Duration) { g.follows.wait = most }

// A sign-out waits at most 1 s for the answers about the members of its subject. One that hangs is
// given up after 5 s, and its member ends.
func TestSignOutWaitsASecondForAnAnswer(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		w.store.answer(func(ctx context.Context, _ middleware.Principal) error {
			<-ctx.Done()
			return ctx.Err()
		})
		begun := time.Now()
		w.store.tell(middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject})
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("the sign-out has waited for %v, want 1s", waited)
		}
		if f.ended() != "" {
			t.Errorf("the member has ended with %q before its question was given up", f.ended())
		}
		time.Sleep(5 * time.Second)
		wantEnded(t, f, "later")
	})
}

// The attack: a question about one user has no answer, and each sign-out of another waits for it.
func TestSignOutDoesNotWaitForAnotherUser(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		w.join(ann)
		bob := middleware.Principal{Issuer: ann.Issuer, Subject: "bob", SessionHandle: "session 2"}
		f := w.join(bob)
		release := make(chan struct{})
		w.store.answer(func(_ context.Context, p middleware.Principal) error {
			if p.Subject == ann.Subject {
				<-release
			}
			return w.store.good(p)
		})
		w.store.learn(middleware.Revocation{Subject: "ann"})
		go w.store.tell(middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject})
		time.Sleep(time.Millisecond)
		begun := time.Now()
		w.store.revoke(middleware.Revocation{Issuer: ann.Issuer, Subject: "bob"})
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("the sign-out has waited for %v", waited)
		}
		wantEnded(t, f, "revoked")
		close(release)
	})
}
