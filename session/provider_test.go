package session_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

const idp = "https://id.example"

// provider is a sign-in at idp; none without a subject.
func provider(sub, sid string) session.Provider {
	if sub == "" {
		return session.Provider{}
	}
	return session.Provider{Issuer: idp, Subject: sub, SessionID: sid}
}

// endAtProvider is what a logout token there says: sub, sid, or both.
func endAtProvider(sub, sid string) middleware.Revocation {
	v := middleware.Revocation{}
	if sub != "" {
		v.Issuer, v.Subject = idp, sub
	}
	if sid != "" {
		v.SessionHandle = bearer.SessionHandle(idp, sid)
	}
	return v
}

// OpenID Connect Back-Channel Logout 1.0 §2.7; ASVS 7.6.1. The user of the provider is another
// name than the subject here.
func TestSessionsEndWithThatOfTheProvider(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		login string // its sub and sid
		end   string
		ends  bool
	}{
		{"the session, by its sid", "sub=7&sid=s1", "sid=s1", true},
		{"the session, by both", "sub=7&sid=s1", "sub=7&sid=s1", true},
		{"all of the subject", "sub=7&sid=s1", "sub=7", true},
		{"all of the subject, without a sid", "sub=7", "sub=7", true},
		{"another session of the subject", "sub=7&sid=s1", "sid=s2", false},
		{"another subject", "sub=7&sid=s1", "sub=8", false},
		{"a subject here of that name", "", "sub=alice", false},
		{"a subject there of this name", "sub=7&sid=s1", "sub=alice", false},
		{"no sign-in at a provider", "", "sub=7&sid=s1", false},
	} {
		for list, revocations := range map[string]func() middleware.Revocations{
			"in the store": func() middleware.Revocations { return nil }, "in Config.Revocations": middleware.NewRevocations,
		} {
			t.Run(tt.name+", "+list, func(t *testing.T) {
				t.Parallel()
				store, rs := scs.Store(memstore.NewWithCleanupInterval(0)), revocations()
				m := newManager(t, session.Config{Store: store, Revocations: rs})
				b := newBrowser(t, app(t, m))
				b.wants("/login?u=alice&"+tt.login, 200, "done")
				p := b.mustPrincipal(m)
				told := false
				m.Follow(func(v middleware.Revocation) {
					told = told || v.SessionHandle == p.SessionHandle || v.Subject == "alice" && v.Covers(p)
				})
				newBrowser(t, app(t, m)).wants("/provider?"+tt.end, 200, "done")
				elsewhere := newManager(t, session.Config{Store: store, Revocations: rs}) // another node, or a later process
				for node, of := range map[string]*session.Manager{"this node": m, "another": elsewhere} {
					if err := of.Alive(t.Context(), p); (err != nil) != tt.ends {
						t.Errorf("%s: %v", node, err)
					} else if tt.ends && !strings.Contains(err.Error(), "credential_revoked") {
						t.Errorf("%s: the reason is %v", node, err)
					}
				}
				if told != tt.ends {
					t.Errorf("a follower was told: %v", told)
				}
				b.wants("/login?u=alice&sub=7&sid=s9", 200, "done") // the user signs in again, in another session
				b.wants("/me", 200, "alice")
			})
		}
	}
}

// A sign-in with a session that has ended at the provider is refused.
func TestLoginAfterTheProvidersSessionEnded(t *testing.T) {
	t.Parallel()
	m := newManager(t, session.Config{Store: memstore.NewWithCleanupInterval(0)})
	b := newBrowser(t, app(t, m))
	b.wants("/provider?sid=s1", 200, "done")
	if res := b.get("/login?u=alice&sub=7&sid=s1"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the login is answered with %d", res.StatusCode)
	}
	b.wants("/login?u=alice&sub=7&sid=s2", 200, "done")
}

// A renewal does not get away from the session at the provider.
func TestRenewedSessionKeepsItsProvider(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"sid=s1", "sub=7"} {
		m := newManager(t, session.Config{Store: memstore.NewWithCleanupInterval(0)})
		b := newBrowser(t, app(t, m))
		b.wants("/login?u=alice&sub=7&sid=s1", 200, "done")
		b.wants("/others", 200, "done")
		b.wants("/me", 200, "alice")
		newBrowser(t, app(t, m)).wants("/provider?"+end, 200, "done")
		if res := b.get("/me"); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", end, res.StatusCode)
		}
	}
}

func TestProviderIsValidated(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]session.Provider{
		"no issuer":          {Subject: "7"},
		"no subject":         {Issuer: idp, SessionID: "s1"},
		"a sid alone":        {SessionID: "s1"},
		"an endless sid":     {Issuer: idp, Subject: "7", SessionID: strings.Repeat("s", 1025)},
		"an endless subject": {Issuer: idp, Subject: strings.Repeat("s", 1025)},
		"no UTF-8":           {Issuer: idp, Subject: "\xff"},
	} {
		m := newManager(t, session.Config{})
		err := m.Login(t.Context(), session.Identity{Subject: "alice", Provider: p})
		if err == nil || !strings.Contains(err.Error(), "Provider") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The entries that a session of a provider adds cost a ManyFinder no trip.
func TestTripsOfASessionOfAProvider(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice&sub=7&sid=s1")
	before := store.reads
	b.get("/page")
	if got := fmt.Sprint(store.reads - before); got != "7" { // the record, 3 of the subject, the tombstone, 2 of the provider
		t.Errorf("a load takes %s reads", got)
	}
}
