package session_test

import (
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
