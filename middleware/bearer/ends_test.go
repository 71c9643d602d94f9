package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// issued is a credential of a session: one that was not presented before the end, and the
// principal of a connection that another one opened.
type issued struct {
	name  string
	auth  *middleware.Auth
	fresh *http.Request
	open  middleware.Principal
	told  atomic.Bool // a follower was
}

// issue makes each kind of credential in the session of the cookies.
func (s *service) issue(t *testing.T, cookies []*http.Cookie, handle string) (all []*issued) {
	t.Helper()
	kinds := []struct {
		name    string
		auth    *middleware.Auth
		request func() *http.Request
	}{
		{"the cookie", s.rest, func() *http.Request {
			return withCookies(httptest.NewRequest("GET", "https://api.example/", nil), cookies)
		}},
		{"a token with sid", s.rest, func() *http.Request { return request(token(header(), claims().with("sid", handle))) }},
	}
	for _, k := range kinds {
		kinds = append(kinds, struct {
			name    string
			auth    *middleware.Auth
			request func() *http.Request
		}{"a ticket of " + k.name, s.socket, func() *http.Request { return s.fetchTicket(t, k.request()) }})
	}
	for _, k := range kinds {
		x := &issued{name: k.name, auth: k.auth, fresh: k.request()}
		var err error
		if x.open, err = k.auth.Authenticate(k.request()); err != nil || x.open.SessionHandle != handle ||
			k.auth.Alive(t.Context(), x.open) != nil {
			t.Fatalf("%s before the end: session %q, %v", k.name, x.open.SessionHandle, err)
		}
		t.Cleanup(k.auth.Follow(func(v middleware.Revocation) {
			if reaches(v, x.open) {
				x.told.Store(true)
			}
		}))
		all = append(all, x)
	}
	return all
}

// reaches reports whether the follower ends the connections of p, or asks about them.
func reaches(v middleware.Revocation, p middleware.Principal) bool {
	return v.SessionHandle != "" && v.SessionHandle == p.SessionHandle || v.Subject == p.Subject && v.Issuer == p.Issuer
}

func (s *service) want(t *testing.T, session string, all []*issued, want string) {
	t.Helper()
	for _, x := range all {
		_, err := x.auth.Authenticate(x.fresh)
		for what, err := range map[string]error{"presented": err, "what it opened": x.auth.Alive(t.Context(), x.open)} {
			if got := outcome(err); got != want && (got != "nothing" || want != expired) { // the cookie of no session is none
				t.Errorf("%s, %s, %s: %s, want %s", session, x.name, what, outcome(err), want)
			}
		}
		if want != "accepted" && !x.told.Load() {
			t.Errorf("%s, %s: followers are not told", session, x.name)
		}
	}
}

// ASVS 7.4.1, 7.4.3: each end of a session reaches everything that was issued in it, on stores
// that compare before they write and on others: requests, handshakes, and open connections. Other
// sessions go on. The credentials of a renewed session have expired, because its browser may
// fetch more.
func TestAnEndReachesEverythingOfTheSession(t *testing.T) {
	t.Parallel()
	stores := map[string]func() scs.Store{
		"the memory of package session": func() scs.Store { return nil },
		"a store that does not compare": func() scs.Store { return memstore.NewWithCleanupInterval(0) },
	}
	for name, store := range stores {
		const revoked = "401 credential_revoked"
		for _, c := range []struct {
			name          string
			end           func(s *service, r *http.Request, handle string) error // r is of the first session, handle is its
			first, second string
		}{
			{"Logout", func(s *service, r *http.Request, _ string) error { return s.sessions.Logout(r.Context()) }, revoked, "accepted"},
			{"End", func(s *service, r *http.Request, handle string) error {
				return s.sessions.End(r.Context(), "alice", handle)
			}, revoked, "accepted"},
			{
				"LogoutOthers", func(s *service, r *http.Request, _ string) error { return s.sessions.LogoutOthers(r.Context()) },
				expired, revoked,
			},
			{"LogoutEverywhere", func(s *service, r *http.Request, _ string) error {
				return s.sessions.LogoutEverywhere(r.Context(), "alice")
			}, revoked, revoked},
			{"a revocation by its handle", func(s *service, r *http.Request, handle string) error {
				return s.sessions.Revocations().Revoke(r.Context(), middleware.Revocation{SessionHandle: handle})
			}, revoked, "accepted"},
			{"a revocation of the subject", func(s *service, r *http.Request, _ string) error {
				return s.sessions.Revocations().Revoke(r.Context(), middleware.Revocation{Issuer: "session", Subject: "alice"})
			}, revoked, revoked},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				t.Parallel()
				s := newServiceOn(t, store())
				cookies, handle := s.login(t, "alice")
				second, secondHandle := s.login(t, "alice")
				ofFirst, ofSecond := s.issue(t, cookies, handle), s.issue(t, second, secondHandle)
				res, err := s.inSession(cookies, func(r *http.Request) error { return c.end(s, r, handle) })
				if err != nil {
					t.Fatal(err)
				}
				s.want(t, "the first", ofFirst, c.first)
				s.want(t, "the second", ofSecond, c.second)
				if renewed := res.Cookies(); c.name == "LogoutOthers" {
					if _, err := s.rest.Authenticate(withCookies(httptest.NewRequest("GET", "https://api.example/", nil), renewed)); err !=
						nil {
						t.Errorf("the renewed session: %v", err)
					}
				}
			})
		}
	}
}

// The claim that names the session may have another name; sid then means nothing.
func TestASessionClaimOfAnotherName(t *testing.T) {
	t.Parallel()
	s := newSite(t, session.Config{})
	cfg := config()
	cfg.Sessions, cfg.SessionClaim = s.sessions, "https://issuer.example/session"
	own := newAuthenticator(t, cfg)
	cfg = config()
	cfg.SessionClaim = "session_state"
	atTheIssuer := newAuthenticator(t, cfg)
	cookies, handle := s.login(t, "alice")
	for _, c := range []struct {
		name   string
		tokens middleware.Revocable
		claims object
		want   string
		handle string
	}{
		{
			name: "it names a session", tokens: own, claims: claims().with("https://issuer.example/session", handle),
			want: "accepted", handle: handle,
		},
		{name: "it names none that lives", tokens: own, claims: claims().with("https://issuer.example/session", "x"), want: expired},
		{name: "it is not a string", tokens: own, claims: claims().with("https://issuer.example/session", 1), want: invalid},
		{name: "it is empty", tokens: own, claims: claims().with("https://issuer.example/session", ""), want: invalid},
		{name: "sid means nothing", tokens: own, claims: claims().with("sid", "x"), want: "accepted"},
		{name: "and may be of any type", tokens: own, claims: claims().with("sid", 1), want: "accepted"},
		{
			name: "a session at the issuer", tokens: atTheIssuer, claims: claims().with("session_state", "s1"),
			want: "accepted", handle: "5ck223hXtrb6XLfHnm1SI6kiLSHGf6uBOlgdFHtNFUU",
		},
	} {
		for range 2 { // first seen, then remembered
			p, err := c.tokens.Authenticate(request(token(header(), c.claims)))
			if outcome(err) != c.want {
				t.Errorf("%s: %s, want %s", c.name, outcome(err), c.want)
			}
			if p.SessionHandle != c.handle {
				t.Errorf("%s: SessionHandle %q, want %q", c.name, p.SessionHandle, c.handle)
			}
		}
	}
	p, err := own.Authenticate(request(token(header(), claims().with("https://issuer.example/session", handle))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.inSession(cookies, func(r *http.Request) error { return s.sessions.Logout(r.Context()) }); err != nil {
		t.Fatal(err)
	}
	if err := own.Alive(t.Context(), p); outcome(err) != "401 credential_revoked" {
		t.Errorf("after the logout: %s", outcome(err))
	}
}
