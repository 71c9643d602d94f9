package live

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/securews/securews/middleware"
)

// The principals of a session whose roles have changed are asked about apart: those from before
// end, and those from after stay, whichever is asked about first.
func TestRoleChangeEndsThePrincipalsFromBefore(t *testing.T) {
	admin, member := with(ann, func(p *middleware.Principal) { p.Roles = []string{"admin"} }),
		with(ann, func(p *middleware.Principal) { p.Roles = []string{"member"} })
	for name, order := range map[string][]middleware.Principal{
		"the newest is from after":  {admin, member, admin, member},
		"the newest is from before": {member, admin, member, admin},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				members := make([]*fake, len(order))
				for i, p := range order {
					members[i] = w.join(p)
				}
				w.store.answer(func(_ context.Context, p middleware.Principal) error {
					if slices.Contains(p.Roles, "admin") {
						return middleware.Unauthorized(middleware.ReasonCredentialOutdated, errors.New("store: another role"))
					}
					return nil
				})
				w.store.asked()
				w.store.tell(middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject})
				for i, f := range members {
					want := ""
					if order[i].Roles[0] == "admin" {
						want = "reauth"
					}
					wantEnded(t, f, want)
				}
				if n := w.store.asked(); n != 2 {
					t.Errorf("asked %d times, want once about each", n)
				}
				leaveAll(members)
			})
		})
	}
}
