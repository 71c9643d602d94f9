package live

import (
	"context"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

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
