package session_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// A credential that names a session is refused when the session ends, by handle alone.
func TestSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		h := app(t, m)
		signedIn := func() (*browser, string) {
			b := newBrowser(t, h)
			b.get("/login?u=alice")
			return b, b.mustPrincipal(m).SessionHandle
		}
		_, idle := signedIn()
		time.Sleep(35 * time.Minute)
		out, loggedOut := signedIn()
		out.get("/logout")
		other, renewed := signedIn()
		other.get("/login?u=bob")
		_, everywhere := signedIn()
		if err := m.LogoutEverywhere(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		_, live := signedIn()
		for name, tt := range map[string]struct {
			handle  string
			subject string
			reason  middleware.Reason
		}{
			"a live session":              {live, "alice", ""},
			"after a logout":              {loggedOut, "", "credential_revoked"},
			"after another login":         {renewed, "", "credential_expired"}, // the store compares: the record is gone for good
			"after a logout everywhere":   {everywhere, "", "credential_revoked"},
			"after the idle time-out":     {idle, "", "credential_expired"},
			"a handle of another manager": {"Zm9yZWlnbg", "", "credential_expired"},
			"no handle":                   {"", "", "credential_expired"},
		} {
			subject, err := m.SessionAlive(t.Context(), tt.handle)
			if subject != tt.subject {
				t.Errorf("%s: subject %q, want %q", name, subject, tt.subject)
			}
			if status, reason := answers(err); reason != tt.reason || reason != "" && status != 401 {
				t.Errorf("%s: %v, want 401 %s", name, err, tt.reason)
			}
		}
	})
}

// A session without a login has values, but vouches for no subject.
func TestSessionAliveRefusesASessionWithoutALogin(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	newBrowser(t, app(t, m)).get("/put?v=x")
	all, err := store.All()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	for handle := range all {
		_, err := m.SessionAlive(t.Context(), handle)
		wantsRefusal(t, "SessionAlive", err, 401, "credential_expired")
	}
}

// middleware.Revocable: a principal that the Manager did not issue is not its to judge,
// even if the token issuer has the same name.
func TestAliveIsAboutItsOwnSessions(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	for name, p := range map[string]middleware.Principal{
		"of another issuer":          {Issuer: "https://id.example", Subject: "alice", SessionHandle: "x"},
		"of no session":              {Issuer: "session", Subject: "alice"},
		"a token that has a session": {Issuer: "session", Subject: "alice", SessionHandle: "x", TokenHandle: "y"},
		"anonymous":                  {Method: "anonymous"},
	} {
		if err := m.Alive(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if reads, _ := store.counts(); reads != 0 {
		t.Errorf("the store was asked %d times", reads)
	}
}

// The Auth follows the Manager without a field that connects them.
func TestFollow(t *testing.T) {
	m := newManager(t, session.Config{})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	p := b.mustPrincipal(m)
	told := 0
	stop := m.Follow(func(v middleware.Revocation) {
		if v.Covers(p) {
			told++
		}
	})
	b.get("/logout")
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	stop()
	if err := m.LogoutEverywhere(t.Context(), "alice"); err != nil || told != 1 {
		t.Errorf("%v, told %d times after stop", err, told)
	}
}

// The principal has the roles of the login, and its time as auth_time (OpenID Connect
// Core 1.0 §2). A renewal by LogoutOthers is not a login.
func TestRolesAndAuthTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		b := newBrowser(t, app(t, m))
		roles := []string{"admin", "staff"}
		inRequest(t, b, m, func(_ http.ResponseWriter, r *http.Request) {
			if err := m.Login(r.Context(), session.Identity{Subject: "alice", Roles: roles}); err != nil {
				t.Error(err)
			}
		})
		b.h = app(t, m)
		login := time.Now()
		roles[0] = "changed"
		check := func(when string, issued time.Time) {
			t.Helper()
			p := b.mustPrincipal(m)
			if !reflect.DeepEqual(p.Roles, []string{"admin", "staff"}) || !p.AuthTime.Equal(login) || !p.IssuedAt.Equal(issued) {
				t.Errorf("%s: roles %v, auth time %v, issued %v; want [admin staff], %v, %v",
					when, p.Roles, p.AuthTime, p.IssuedAt, login, issued)
			}
		}
		check("after the login", login)
		time.Sleep(10 * time.Minute)
		b.wants("/others", 200, "done")
		check("after a renewal", time.Now())
		if list, err := m.Sessions(t.Context(), "alice"); err != nil || len(list) != 1 || !list[0].LoggedIn.Equal(login) {
			t.Errorf("listed as %+v %v, want the login at %v", list, err, login)
		}
	})
}

// A Manager bounds its own calls, so that an Auth calls it without a goroutine.
func TestManagerBoundsItself(t *testing.T) {
	if !bounded.BoundsItself(newManager(t, session.Config{})) {
		t.Error("the Manager does not bound itself")
	}
	for i := range reflect.TypeFor[session.Manager]().NumField() {
		if f := reflect.TypeFor[session.Manager]().Field(i); f.IsExported() {
			t.Errorf("%s is exported", f.Name)
		}
	}
}

// Revocations that do not return hold at most 256 goroutines, and delay no request that
// needs none.
func TestRevocationsThatNeverReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := &deafRevocations{Revocations: middleware.NewRevocations(), release: release}
		m := newManager(t, session.Config{Revocations: deaf})
		b := newBrowser(t, app(t, m))
		b.get("/login?u=alice")
		p := b.mustPrincipal(m)
		deaf.hangs.Store(true)
		start := time.Now()
		errs := make(chan error)
		for range 1000 {
			go func() { errs <- m.Alive(context.Background(), p) }()
		}
		newBrowser(t, b.h).wants("/page", 200, "done")
		if took := time.Since(start); took != 0 {
			t.Errorf("a request without a session took %v", took)
		}
		for range 1000 {
			if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Alive: %v", err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Alive took %v, want 1s", took)
		}
		if n := deaf.held.Load(); n > 256 {
			t.Errorf("%d goroutines are held, want at most 256", n)
		}
		deaf.hangs.Store(false)
		close(release)
		synctest.Wait()
		b.wants("/me", 200, "alice")
	})
}

// deafRevocations ignore their context, and do not return until they are released.
type deafRevocations struct {
	middleware.Revocations
	hangs   atomic.Bool
	held    atomic.Int32
	release chan struct{}
}

func (d *deafRevocations) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if d.hangs.Load() {
		d.held.Add(1)
		<-d.release
	}
	return d.Revocations.Revoked(ctx, p)
}

func TestOwns(t *testing.T) {
	t.Parallel()
	m := newManager(t, session.Config{Issuer: "one"})
	for name, tt := range map[string]struct {
		m    *session.Manager
		p    middleware.Principal
		want bool
	}{
		"a session":                    {m, middleware.Principal{Issuer: "one", SessionHandle: "s"}, true},
		"one of another Issuer":        {m, middleware.Principal{Issuer: "two", SessionHandle: "s"}, false},
		"a token that names a session": {m, middleware.Principal{Issuer: "one", SessionHandle: "s", TokenHandle: "t"}, false},
		"no session":                   {m, middleware.Principal{Issuer: "one"}, false},
		"a session, by the zero value": {&session.Manager{}, middleware.Principal{SessionHandle: "s"}, false},
		"a session, by a nil pointer":  {nil, middleware.Principal{SessionHandle: "s"}, false},
		"a session of the default": {
			newManager(t, session.Config{}),
			middleware.Principal{Issuer: "session", SessionHandle: "s"},
			true,
		},
	} {
		if got := tt.m.Owns(tt.p); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// Attack: if one of the two is down, or made to be, a connection goes on whose end the other knows. No
// answer of one hides an end that the other knows.
func TestNoAnswerHidesNoEndOfASession(t *testing.T) {
	for name, tt := range map[string]struct {
		idle, revoked, storeDown, listDown bool
		want                               string
		ended                              bool // by Revocations, which knows no other words
	}{
		"nothing has ended":              {want: "alive"},
		"idle, the revocations down":     {idle: true, listDown: true, want: "credential_expired", ended: true},
		"revoked, the store down":        {revoked: true, storeDown: true, want: "credential_revoked", ended: true},
		"the revocations down":           {listDown: true, want: "unavailable"},
		"the store down":                 {storeDown: true, want: "unavailable"},
		"idle, the store down":           {idle: true, storeDown: true, want: "unavailable"},
		"both down":                      {idle: true, storeDown: true, listDown: true, want: "unavailable"},
		"idle and revoked, neither down": {idle: true, revoked: true, want: "credential_revoked", ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, list := newShakyStore(), &downRevocations{Revocations: middleware.NewRevocations()}
				m := newManager(t, session.Config{Store: store, Revocations: list})
				b := newBrowser(t, app(t, m))
				b.get("/login?u=alice")
				p := b.mustPrincipal(m)
				if tt.idle {
					time.Sleep(31 * time.Minute)
				}
				if tt.revoked { // by another node, so that the store does not know it
					if err := list.Revocations.Revoke(t.Context(), middleware.Revocation{SessionHandle: p.SessionHandle}); err != nil {
						t.Fatal(err)
					}
				}
				if tt.storeDown {
					store.down()
				}
				if tt.listDown {
					list.revoked = errDown
				}
				_, refusal := answers(m.Alive(t.Context(), p))
				reason := cmp.Or(string(refusal), "alive")
				ended, err := m.Revocations().Revoked(t.Context(), p)
				if reason != tt.want || ended != tt.ended || (err == nil) != (ended || tt.want == "alive") {
					t.Errorf("Alive says %s, want %s; Revoked %v, %v, want %v", reason, tt.want, ended, err, tt.ended)
				}
			})
		})
	}
}
