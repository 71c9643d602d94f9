package live

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// relay passes revocations on as they came, without Before, as one between processes might. It
// keeps them in a list.
type relay struct {
	middleware.Revocations
	followers followers.List[middleware.Revocation]
}

func (r *relay) Revoke(ctx context.Context, v middleware.Revocation) error {
	if err := r.Revocations.Revoke(ctx, v); err != nil {
		return err
	}
	r.followers.Tell(v)
	return nil
}

func (r *relay) Follow(fn func(middleware.Revocation)) (stop func()) { return r.followers.Follow(fn) }

// issued has credentials that are issued when they are presented.
type issued struct{}

func (issued) Ambient() bool { return false }

func (issued) Authenticate(r *http.Request) (middleware.Principal, error) {
	p, ok := r.Context().Value(credential{}).(middleware.Principal)
	if !ok {
		return p, middleware.ErrNoCredential
	}
	p.IssuedAt = time.Now()
	return p, nil
}

// A Revocation without Before is one of now: in the list, in what followers are told, and for the
// connections of each of them.
func TestRevocationWithoutBeforeIsOneOfNow(t *testing.T) {
	stored, err := session.NewRevocations(memstore.NewWithCleanupInterval(0))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]middleware.Revocations{
		"in memory": middleware.NewRevocations(), "in a store": stored,
		"passed on without Before": &relay{Revocations: middleware.NewRevocations()},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				auth := authOver(t, middleware.WithRevocations(issued{}, list))
				before := w.joinAs(&fake{}, auth, ann)
				presented, err := admit(auth, ann)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Nanosecond)
				began := time.Now()
				if err := list.Revoke(t.Context(), middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject}); err != nil {
					t.Fatal(err)
				}
				wantEnded(t, before, "revoked")
				if took := before.when().Sub(began); took != 0 {
					t.Errorf("ended after %v", took)
				}
				wantRefusal(t, w.try(&fake{}, presented), 401, "credential_revoked")
				after := w.joinAs(&fake{}, auth, ann)
				time.Sleep(time.Hour)
				wantEnded(t, after, "")
				after.Leave(nil)
			})
		})
	}
}
