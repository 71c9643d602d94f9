package session_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

const idp = "https://id.example"

// provider is a sign-in at idp; none without a subject.
func provider(sub, sid string) session.ProviderSignIn {
	if sub == "" {
		return session.ProviderSignIn{}
	}
	return session.ProviderSignIn{Issuer: idp, Subject: sub, SessionID: sid}
}

// endAtProvider is the revocation of a logout token there, which has a sub, a sid, or both.
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

// A user of the provider has several accounts here, such as one with each tenant. An end there reaches the
// connections of all, whichever signed in last (OpenID Connect Back-Channel Logout 1.0 §2.7).
func TestEveryAccountHearsOfAnEndAtTheProvider(t *testing.T) {
	t.Parallel()
	for _, compares := range []bool{false, true} {
		for _, end := range []string{"sub=7", "sid=s1"} {
			for list, revocations := range map[string]middleware.Revocations{
				"the store": nil, "Config.Revocations": middleware.NewRevocations(),
			} {
				store := scs.Store(memstore.NewWithCleanupInterval(0))
				if compares {
					store = session.NewMemory()
				}
				m := newManager(t, session.Config{Store: store, Revocations: revocations})
				principals := map[string]middleware.Principal{}
				for _, user := range []string{"alice", "bob", "alice", "carol"} {
					b := newBrowser(t, app(t, m))
					b.wants("/login?sub=7&sid=s1&u="+user, 200, "done")
					principals[user] = b.mustPrincipal(m)
				}
				var told heard
				defer m.Follow(told.tell)()
				newBrowser(t, app(t, m)).wants("/provider?"+end, 200, "done")
				for user, p := range principals {
					wantsRefusal(t, user, m.Alive(t.Context(), p), 401, "credential_revoked")
					if !told.of(p) {
						t.Errorf("compares %v, %s, in %s: the followers are not told of %s", compares, end, list, user)
					}
				}
			}
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

// The end is in the store as long as the session is, whatever Config.Revocations forgets: a restart,
// or another node, has not the memory of this process (ASVS 7.4.1).
func TestAnEndOutlastsTheMemoryOfConfigRevocations(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]middleware.Revocation{
		"the session at the provider": endAtProvider("", "s1"),
		"the subject at the provider": endAtProvider("7", ""),
		"the subject here":            {Subject: "alice"},
	} {
		store := memstore.NewWithCleanupInterval(0)
		m := newManager(t, session.Config{Store: store, Revocations: middleware.NewRevocations()})
		b := newBrowser(t, app(t, m))
		b.wants("/login?u=alice&sub=7&sid=s1", 200, "done")
		p := b.mustPrincipal(m)
		told := 0
		stop := m.Follow(func(v middleware.Revocation) {
			if v.Subject == "alice" {
				told++
			}
		})
		if err := m.Revocations().Revoke(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		stop()
		restarted := newManager(t, session.Config{Store: store, Revocations: middleware.NewRevocations()})
		for node, of := range map[string]*session.Manager{"this process": m, "after a restart": restarted} {
			if err := of.Alive(t.Context(), p); err == nil || !strings.Contains(err.Error(), "credential_revoked") {
				t.Errorf("%s, %s: %v", name, node, err)
			}
			if ended, err := of.Revocations().Revoked(t.Context(), p); err != nil || !ended {
				t.Errorf("%s, %s: Revoked is %v, %v", name, node, ended, err)
			}
		}
		if told != 1 {
			t.Errorf("%s: a follower is told %d times", name, told)
		}
	}
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
	for name, p := range map[string]session.ProviderSignIn{
		"no issuer":          {Subject: "7"},
		"no subject":         {Issuer: idp, SessionID: "s1"},
		"a sid alone":        {SessionID: "s1"},
		"an endless sid":     {Issuer: idp, Subject: "7", SessionID: strings.Repeat("s", 1025)},
		"an endless subject": {Issuer: idp, Subject: strings.Repeat("s", 1025)},
		"no UTF-8":           {Issuer: idp, Subject: "\xff"},
		// The provider's subject 7 would be told as this session, and not as its own.
		"a sid that spells the key of a subject": {Issuer: idp, Subject: "8", SessionID: "7\x00subject"},
	} {
		m := newManager(t, session.Config{})
		err := m.Login(t.Context(), session.Identity{Subject: "alice", Provider: p})
		if err == nil || !strings.Contains(err.Error(), "Provider") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two identities of one issuer and subject would be signed out for each other (ASVS 6.8.1): the
// subject 7 at the provider is another user than the subject 7 here.
func TestProviderOfTheIssuerOfTheManager(t *testing.T) {
	t.Parallel()
	m := newManager(t, session.Config{Issuer: idp})
	b := newBrowser(t, app(t, m))
	if res := b.get("/login?u=alice&sub=7&sid=s1"); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("another subject: %d", res.StatusCode)
	}
	b.wants("/login?u=7&sub=7&sid=s1", 200, "done")
	newBrowser(t, b.h).wants("/provider?sub=7", 200, "done")
	if _, err := b.principalOf(m); err == nil {
		t.Error("the session outlives the logout at the provider")
	}
}

// The entries of a sign-in at a provider are not kept for longer than its session, or the store would
// have those of 30 days.
func TestASignInAtAProviderLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := &lastingStore{Store: memstore.NewWithCleanupInterval(0)}
	b := newBrowser(t, app(t, newManager(t, session.Config{Store: s, Absolute: time.Hour})))
	b.wants("/login?u=alice&sub=7&sid=s1", 200, "done")
	if left := time.Until(s.last); left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("the store keeps something for %v", left)
	}
}

// lastingStore notes how long the store keeps something.
type lastingStore struct {
	scs.Store
	last time.Time
}

func (s *lastingStore) Commit(key string, b []byte, expiry time.Time) error {
	if expiry.After(s.last) {
		s.last = expiry
	}
	return s.Store.Commit(key, b, expiry)
}

// A store that hangs does not hold up Config.Revocations, whose followers may wait for a second
// (middleware.Revocations), whatever StoreTimeout is.
func TestFollowingWhileTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := &hangingStore{shakyStore: newShakyStore(), release: make(chan struct{})}
		list := middleware.NewRevocations()
		m := newManager(t, session.Config{Store: hang, StoreTimeout: 10 * time.Second, Revocations: list})
		told := 0
		defer m.Follow(func(middleware.Revocation) { told++ })()
		hang.hangs = true
		began := time.Now()
		if err := list.Revoke(t.Context(), endAtProvider("7", "s1")); err != nil || told != 1 {
			t.Errorf("%v, told %d times", err, told)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the revocations waited %v", took)
		}
		close(hang.release)
	})
}

// The entries that a session of a provider adds cost a ManyFinder no round trip.
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
