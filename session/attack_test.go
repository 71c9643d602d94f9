package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// slowRevocations respect their context, and are slow.
type slowRevocations struct{ middleware.Revocations }

func (s slowRevocations) Revoke(ctx context.Context, v middleware.Revocation) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return s.Revocations.Revoke(ctx, v)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The attack: the client leaves while a sign-out is under way. It is completed.
func TestSignOutIsCompletedWhenItsClientLeaves(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, m *session.Manager, handle string) error{
		"LogoutEverywhere": func(ctx context.Context, m *session.Manager, _ string) error { return m.LogoutEverywhere(ctx, "alice") },
		"End":              func(ctx context.Context, m *session.Manager, handle string) error { return m.End(ctx, "alice", handle) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, session.Config{Revocations: slowRevocations{middleware.NewRevocations()}})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				handle := b.mustPrincipal(m).SessionHandle
				time.Sleep(time.Millisecond) // the cut-off is a time
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				if err := end(ctx, m, handle); err != nil {
					t.Error(err)
				}
				_, err := m.SessionAlive(t.Context(), handle)
				wantsRefusal(t, name, err, 401, "credential_revoked")
			})
		})
	}
}
