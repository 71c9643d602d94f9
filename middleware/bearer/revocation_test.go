package bearer_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

// site has a session manager and an authenticator of tokens that name its sessions.
type site struct {
	sessions *session.Manager
	tokens   *bearer.Authenticator
}

func newSite(t testing.TB, cfg session.Config) site {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	sessions, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	with := config()
	with.Sessions = sessions
	return site{sessions, newAuthenticator(t, with)}
}

// inSession runs fn behind the session layer, with the cookies.
func (s site) inSession(cookies []*http.Cookie, fn func(r *http.Request) error) (*http.Response, error) {
	var err error
	h := s.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { err = fn(r) }))
	r := httptest.NewRequest("POST", "https://api.example/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), err
}

// login returns the cookies of a new session and its handle.
func (s site) login(t testing.TB, subject string) (cookies []*http.Cookie, handle string) {
	t.Helper()
	res, err := s.inSession(nil, func(r *http.Request) error {
		return s.sessions.Login(r.Context(), session.Identity{Subject: subject})
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "https://api.example/", nil)
	for _, c := range res.Cookies() {
		r.AddCookie(c)
	}
	p, err := s.sessions.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	return res.Cookies(), p.SessionHandle
}

// A token that names a session ends with it: on the next request, and in Alive.
func TestATokenEndsWithItsSession(t *testing.T) {
	s := newSite(t, session.Config{})
	cookies, handle := s.login(t, "alice")
	tok := token(header(), claims().with("sid", handle))
	p, err := s.tokens.Authenticate(request(tok))
	if err != nil || p.SessionHandle != handle {
		t.Fatalf("before the logout: %q %v", p.SessionHandle, err)
	}
	if err := s.tokens.Alive(t.Context(), p); err != nil {
		t.Fatalf("before the logout: %v", err)
	}
	covered := 0
	defer s.tokens.Follow(func(v middleware.Revocation) {
		if v.Covers(p) {
			covered++
		}
	})()
	if _, err := s.inSession(cookies, func(r *http.Request) error { return s.sessions.Logout(r.Context()) }); err != nil {
		t.Fatal(err)
	}
	if covered != 1 {
		t.Errorf("followers were told %d times, want once", covered)
	}
	_, err = s.tokens.Authenticate(request(tok))
	for what, err := range map[string]error{"Authenticate": err, "Alive": s.tokens.Alive(t.Context(), p)} {
		var f *middleware.Refusal
		if outcome(err) != "401 credential_revoked" || !errors.As(err, &f) {
			t.Errorf("%s after the logout: %s", what, outcome(err))
			continue
		}
		if got := f.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="api", error="invalid_token"`) { // RFC 6750 §3.1
			t.Errorf("%s: WWW-Authenticate: %s", what, got)
		}
	}
}

func TestATokenThatNamesASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, session.Config{})
		_, idle := s.login(t, "alice")
		time.Sleep(31 * time.Minute)
		_, live := s.login(t, "alice")
		for _, c := range []struct {
			name   string
			claims object
			want   string
		}{
			{"a live session of the subject", claims().with("sid", live), "accepted"},
			{"no session", claims(), "accepted"},
			{"another subject's session", claims().with("sid", live).with("sub", "mallory"), invalid},
			{"a session that ran out", claims().with("sid", idle), expired},
			{"a session that never was", claims().with("sid", "none"), expired},
			{"an empty sid", claims().with("sid", ""), invalid},
			{"a sid that is a number", claims().with("sid", 1), invalid},
			{"a sid that is null", claims().with("sid", nil), invalid},
			{"a sid that is a list", claims().with("sid", []string{live}), invalid},
		} {
			tok := token(header(), c.claims)
			for range 2 { // first seen, then remembered
				if _, err := s.tokens.Authenticate(request(tok)); outcome(err) != c.want {
					t.Errorf("%s: got %s, want %s", c.name, outcome(err), c.want)
				}
			}
		}
	})
}

// Without Sessions, sid is the issuer's: a hash with the issuer, so that no other issuer
// can name the same session.
func TestTheSessionHandleOfAnIssuer(t *testing.T) {
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	a := newAuthenticator(t, cfg)
	tok := token(header(), claims().with("sid", "s1"))
	p, err := a.Authenticate(request(tok))
	if err != nil || p.SessionHandle != bearer.SessionHandle(issuer, "s1") ||
		p.SessionHandle == bearer.SessionHandle("https://other.example", "s1") {
		t.Fatalf("%q %v", p.SessionHandle, err)
	}
	_ = cfg.Revocations.Revoke(t.Context(), middleware.Revocation{SessionHandle: bearer.SessionHandle(issuer, "s1")})
	if got := outcomeOf(a, tok); got != "401 credential_revoked" {
		t.Errorf("after a back-channel logout: %s", got)
	}
	if got := outcomeOf(a, token(header(), claims().with("sid", 1))); got != invalid {
		t.Errorf("a sid that is a number: %s", got)
	}
}

func TestAuthTime(t *testing.T) { // OpenID Connect Core 1.0 §2
	a := newAuthenticator(t, config())
	p, err := a.Authenticate(request(token(header(), claims().with("auth_time", 1_700_000_000))))
	if err != nil || p.AuthTime.Unix() != 1_700_000_000 {
		t.Errorf("AuthTime is %v, %v", p.AuthTime, err)
	}
	if p, err := a.Authenticate(request(token(header(), claims()))); err != nil || !p.AuthTime.IsZero() {
		t.Errorf("without auth_time: %v, %v", p.AuthTime, err)
	}
	if got := outcomeOf(a, token(header(), claims().with("auth_time", "yesterday"))); got != invalid {
		t.Errorf("an auth_time that is a string: %s", got)
	}
}

func TestAlive(t *testing.T) {
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	a := newAuthenticator(t, cfg)
	second := config()
	second.Issuer = "https://second.example"
	both, err := bearer.NewIssuers(a, newAuthenticator(t, second))
	if err != nil {
		t.Fatal(err)
	}
	_ = cfg.Revocations.Revoke(t.Context(), middleware.Revocation{TokenHandle: "revoked"})
	now := time.Now()
	for _, c := range []struct {
		name string
		p    middleware.Principal
		want string
	}{
		{"a token", middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "x", Expires: now.Add(time.Minute)}, "accepted"},
		{
			"a ticket issued for a token",
			middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "revoked", Method: "ticket"},
			"401 credential_revoked",
		},
		{
			"a revoked token",
			middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "revoked", Expires: now.Add(time.Minute)},
			"401 credential_revoked",
		},
		{
			"an expired token",
			middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "x", Expires: now.Add(-time.Minute)},
			expired,
		},
		{
			"another issuer's token",
			middleware.Principal{Issuer: "https://third.example", Subject: "alice", TokenHandle: "revoked"},
			"accepted",
		},
		{"a session", middleware.Principal{Issuer: issuer, Subject: "alice", SessionHandle: "x"}, "accepted"},
	} {
		for _, x := range []middleware.Revocable{a, both} {
			if err := x.Alive(t.Context(), c.p); outcome(err) != c.want {
				t.Errorf("%s: %T: got %s, want %s", c.name, x, outcome(err), c.want)
			}
		}
	}
	for _, x := range []middleware.Revocable{&bearer.Authenticator{}, (*bearer.Authenticator)(nil), &bearer.Issuers{}} {
		x.Follow(nil)()
		if err := x.Alive(t.Context(), middleware.Principal{TokenHandle: "x"}); outcome(err) != invalid {
			t.Errorf("the zero %T: got %s", x, outcome(err))
		}
	}
}

// A sign-out everywhere also reaches the connections that tokens of the subject opened: a
// follower reads it with the issuer of the tokens.
func TestFollowTranslatesTheIssuerOfASubject(t *testing.T) {
	s := newSite(t, session.Config{})
	both, err := bearer.NewIssuers(s.tokens)
	if err != nil {
		t.Fatal(err)
	}
	p := middleware.Principal{Issuer: issuer, Subject: "alice", TokenHandle: "x"}
	var issuers []string
	covered := false
	stop := both.Follow(func(v middleware.Revocation) {
		issuers = append(issuers, v.Issuer)
		covered = covered || v.Covers(p)
	})
	if err := s.sessions.LogoutEverywhere(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(issuers, []string{"session", issuer}) || !covered {
		t.Errorf("told of issuers %q, covered %v", issuers, covered)
	}
	stop()
	if err := s.sessions.LogoutEverywhere(t.Context(), "alice"); err != nil || len(issuers) != 2 {
		t.Errorf("told after stop: %q %v", issuers, err)
	}
}
