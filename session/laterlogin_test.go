package session_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A revocation of a subject ends its sessions and compares no times: a login after it is good,
// whatever its Before says.
func TestLoginAfterARevocationIsGood(t *testing.T) {
	for name, before := range map[string]time.Time{"now": {}, "in 50 years": time.Now().AddDate(50, 0, 0)} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, session.Config{})
			b := newBrowser(t, app(t, m))
			b.get("/login?u=alice")
			v := middleware.Revocation{Subject: "alice", Before: before, Expires: before}
			if err := m.Revocations().Revoke(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			b.wants("/me", 401, "credential_revoked")
			b.wants("/login?u=alice", 200, "done")
			b.wants("/me", 200, "alice")
		})
	}
}

// A request that has ended its own session has none for the layers behind: the answer of its load counts no
// more (ASVS 7.4.1).
func TestRequestThatEndsItsOwnSession(t *testing.T) {
	for name, end := range map[string]func(context.Context, *session.Manager, middleware.Principal) error{
		"End": func(ctx context.Context, m *session.Manager, p middleware.Principal) error {
			return m.End(ctx, p.Subject, p.SessionHandle)
		},
		"LogoutEverywhere": func(ctx context.Context, m *session.Manager, p middleware.Principal) error {
			return m.LogoutEverywhere(ctx, p.Subject)
		},
		"Revoke of the session": func(ctx context.Context, m *session.Manager, p middleware.Principal) error {
			return m.Revocations().Revoke(ctx, middleware.Revocation{SessionHandle: p.SessionHandle})
		},
		"Revoke of the subject": func(ctx context.Context, m *session.Manager, p middleware.Principal) error {
			return m.Revocations().Revoke(ctx, middleware.Revocation{Subject: p.Subject})
		},
	} {
		for what, list := range map[string]middleware.Revocations{"the store alone": nil, "and Revocations": middleware.NewRevocations()} {
			t.Run(name+", "+what, func(t *testing.T) {
				m := newManager(t, session.Config{Revocations: list})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				p := b.mustPrincipal(m)
				inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
					if err := end(r.Context(), m, p); err != nil {
						t.Error(err)
					}
					_, err := m.Authenticate(r)
					wantsRefusal(t, "the layer behind", err, 401, "credential_revoked")
				})
			})
		}
	}
}
