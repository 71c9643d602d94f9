package middleware_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A revocation without Expires is remembered for 30 days. Until then one of a subject refuses
// every credential without an IssuedAt, one that was issued later too.
func TestRevocationIsRememberedFor30Days(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]func() (middleware.Revocations, error){
		"in memory": func() (middleware.Revocations, error) { return middleware.NewRevocations(), nil },
		"in a store": func() (middleware.Revocations, error) {
			return session.NewRevocations(memstore.NewWithCleanupInterval(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := list()
				if err != nil {
					t.Fatal(err)
				}
				mustRevoke(t, m, middleware.Revocation{Subject: "ann"})
				mustRevoke(t, m, middleware.Revocation{TokenHandle: "token"})
				time.Sleep(30*24*time.Hour - time.Second)
				mustRevoke(t, m, middleware.Revocation{TokenHandle: "another"}) // at which the list forgets
				for what, p := range map[string]middleware.Principal{
					"a credential without a time": {Subject: "ann"},
					"one from before":             {Subject: "ann", IssuedAt: time.Now().Add(-30 * 24 * time.Hour)},
					"the token":                   {TokenHandle: "token"},
				} {
					if !isRevoked(t, m, p) {
						t.Errorf("%s is good a second before the end of the 30 days", what)
					}
				}
				if isRevoked(t, m, middleware.Principal{Subject: "ann", IssuedAt: time.Now()}) {
					t.Error("a credential that was issued later is revoked")
				}
			})
		})
	}
}
