package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

const client = "shop-web"

// logoutClaims are those of OpenID Connect Back-Channel Logout 1.0 §2.4.
func logoutClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": issuer, "sub": "alice", "aud": client, "iat": now, "exp": now + 120, "jti": "logout-1", "sid": "s1",
		"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}},
	}
}

func logoutToken(claims object) string { return token(header().with("typ", "logout+jwt"), claims) }

// logoutPost is the request of §2.5.
func logoutPost(token string) *http.Request {
	r := httptest.NewRequest("POST", "/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func newBackChannelLogout(t *testing.T, cfg bearer.BackChannelLogoutConfig) http.Handler {
	t.Helper()
	h, err := bearer.NewBackChannelLogout(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Each rule of §2.6, and the attack that it stops. The session of a refused token goes on.
func TestLogoutTokenIsValidated(t *testing.T) {
	now := time.Now().Unix()
	for _, tt := range []struct {
		name   string
		token  string
		status int
	}{
		{"typ logout+jwt", logoutToken(logoutClaims()), 200},
		{"no typ, as older providers write", token(header().without("typ"), logoutClaims()), 200},
		{"typ JWT", token(header().with("typ", "JWT"), logoutClaims()), 200},
		{"sid alone", logoutToken(logoutClaims().without("sub")), 200},
		{"sub alone", logoutToken(logoutClaims().without("sid")), 200},
		{"no exp, as a draft had it", logoutToken(logoutClaims().without("exp")), 200},
		{"several audiences", logoutToken(logoutClaims().with("aud", []string{"other", client})), 200},
		{"an access token", token(header(), logoutClaims()), 400},
		{"an ID token: no events", token(header().with("typ", "JWT"), logoutClaims().without("events")), 400},
		{"another event", logoutToken(logoutClaims().with("events", object{"http://schemas.openid.net/event/other": object{}})), 400},
		{
			"events as a list", logoutToken(logoutClaims().with("events", []string{"http://schemas.openid.net/event/backchannel-logout"})),
			400,
		},
		{"a nonce", logoutToken(logoutClaims().with("nonce", "n")), 400},
		{"neither sub nor sid", logoutToken(logoutClaims().without("sub").without("sid")), 400},
		{"an empty sid", logoutToken(logoutClaims().with("sid", "")), 400},
		{"no jti", logoutToken(logoutClaims().without("jti")), 400},
		{"no iat", logoutToken(logoutClaims().without("iat")), 400},
		{"another issuer", logoutToken(logoutClaims().with("iss", "https://other.example")), 400},
		{"another client", logoutToken(logoutClaims().with("aud", "other")), 400},
		{"no audience", logoutToken(logoutClaims().without("aud")), 400},
		{"for the API", logoutToken(logoutClaims().with("aud", audience)), 400},
		{"expired", logoutToken(logoutClaims().with("iat", now-300).with("exp", now-120)), 400},
		{"issued in the future", logoutToken(logoutClaims().with("iat", now+300)), 400},
		{"old, without exp", logoutToken(logoutClaims().with("iat", now-300).without("exp")), 400},
		{"good for a year", logoutToken(logoutClaims().with("exp", now+365*86400)), 400},
		{"another key", sign(otherEC(), "ES256", header().with("typ", "logout+jwt").String(), logoutClaims().String()), 400},
		{"alg none", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(logoutClaims().String())) + ".", 400},
		{"no token", "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			cfg.Revocations = middleware.NewRevocations()
			tokens := newAuthenticator(t, cfg)
			h := newBackChannelLogout(t, bearer.BackChannelLogoutConfig{Tokens: tokens, Clients: []string{client}})
			access := request(token(header(), claims().with("sid", "s1").with("iat", now-60)))
			if _, err := tokens.Authenticate(access); err != nil {
				t.Fatal(err)
			}
			res := answerOf(h, logoutPost(tt.token))
			if res.StatusCode != tt.status || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("answered with %d, Cache-Control %q; want %d", res.StatusCode, res.Header.Get("Cache-Control"), tt.status)
			}
			if _, err := tokens.Authenticate(access); (err != nil) != (tt.status == 200) {
				t.Errorf("the access token afterwards: %v", err)
			}
		})
	}
}

// §2.5: a POST of a form with one logout_token.
func TestLogoutRequestIsValidated(t *testing.T) {
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	h := newBackChannelLogout(t, bearer.BackChannelLogoutConfig{Tokens: newAuthenticator(t, cfg), Clients: []string{client}})
	good := url.Values{"logout_token": {logoutToken(logoutClaims())}}.Encode()
	for _, tt := range []struct {
		name, method, media, body string
		status                    int
	}{
		{name: "GET", method: "GET", media: "application/x-www-form-urlencoded", body: good, status: 405},
		{name: "JSON", method: "POST", media: "application/json", body: good, status: 400},
		{name: "no Content-Type", method: "POST", body: good, status: 400},
		{name: "the token twice", method: "POST", media: "application/x-www-form-urlencoded", body: good + "&" + good, status: 400},
		{
			name: "an endless body", method: "POST", media: "application/x-www-form-urlencoded",
			body: "a=" + strings.Repeat("a", 1<<20), status: 400,
		},
		{name: "a bad escape", method: "POST", media: "application/x-www-form-urlencoded", body: "logout_token=%zz", status: 400},
		{
			name: "with a parameter of the future", method: "POST",
			media: "application/x-www-form-urlencoded; charset=utf-8", body: good + "&a=b", status: 200,
		},
	} {
		r := httptest.NewRequest(tt.method, "/backchannel-logout?"+good, strings.NewReader(tt.body)) // the query does not count
		r.Header.Set("Content-Type", tt.media)
		if got := answerOf(h, r).StatusCode; got != tt.status {
			t.Errorf("%s is answered with %d, want %d", tt.name, got, tt.status)
		}
	}
}

// A logout token that leaks must not sign the user out again and again.
func TestLogoutTokenIsGoodOnce(t *testing.T) {
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	again := logoutToken(logoutClaims())
	for node := range 2 { // the second shares the revocations
		h := newBackChannelLogout(t, bearer.BackChannelLogoutConfig{Tokens: newAuthenticator(t, cfg), Clients: []string{client}})
		want := 400
		if node == 0 {
			want = 200
		}
		if got := answerOf(h, logoutPost(again)).StatusCode; got != want {
			t.Errorf("node %d answers with %d, want %d", node, got, want)
		}
	}
}

// The provider can send the token again if the end could not be stored.
func TestLogoutThatCannotBeStored(t *testing.T) {
	cfg := config()
	store := &failingRevocations{Revocations: middleware.NewRevocations(), broken: true}
	cfg.Revocations = store
	h := newBackChannelLogout(t, bearer.BackChannelLogoutConfig{Tokens: newAuthenticator(t, cfg), Clients: []string{client}})
	tok := logoutToken(logoutClaims())
	res := answerOf(h, logoutPost(tok))
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("answered with %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	store.broken = false
	if got := answerOf(h, logoutPost(tok)).StatusCode; got != 200 {
		t.Errorf("the second time: %d", got)
	}
}

type failingRevocations struct {
	middleware.Revocations
	broken bool
}

func (f *failingRevocations) Revoke(ctx context.Context, v middleware.Revocation) error {
	if f.broken {
		return errors.New("the disk is full")
	}
	return f.Revocations.Revoke(ctx, v)
}

// Which access tokens a logout ends.
func TestReachOfALogout(t *testing.T) {
	before := time.Now().Add(-time.Minute).Unix()
	access := map[string]object{
		"of the session":          claims().with("sid", "s1").with("iat", before),
		"of another session":      claims().with("sid", "s2").with("iat", before).with("jti", "2"),
		"without sid":             claims().with("iat", before).with("jti", "3"),
		"of another subject":      claims().with("sub", "bob").with("iat", before).with("jti", "4"),
		"of the next sign-in":     claims().with("sid", "s9").with("iat", time.Now().Add(time.Hour).Unix()).with("jti", "5"),
		"of the session, later":   claims().with("sid", "s1").with("jti", "6"),
		"without sid, much later": claims().with("iat", time.Now().Add(time.Hour).Unix()).with("jti", "7"),
	}
	for _, tt := range []struct {
		name         string
		sessionsOnly bool
		logout       object
		ended        []string
	}{
		{"a session", false, logoutClaims(), []string{"of the session", "of the session, later", "of another session", "without sid"}},
		{"a session, of tokens that all have a sid", true, logoutClaims(), []string{"of the session", "of the session, later"}},
		{"a session without its subject", false, logoutClaims().without("sub"), []string{"of the session", "of the session, later"}},
		{"a subject", true, logoutClaims().without("sid"), []string{"of the session", "of another session", "without sid"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			cfg.Revocations = middleware.NewRevocations()
			tokens := newAuthenticator(t, cfg)
			h := newBackChannelLogout(t,
				bearer.BackChannelLogoutConfig{Tokens: tokens, Clients: []string{client}, SessionsOnly: tt.sessionsOnly})
			if got := answerOf(h, logoutPost(logoutToken(tt.logout))).StatusCode; got != 200 {
				t.Fatal(got)
			}
			for name, c := range access {
				_, err := tokens.Authenticate(request(token(header(), c)))
				var refused *middleware.Refusal
				ended := errors.As(err, &refused) && refused.Reason == middleware.ReasonCredentialRevoked
				want := false
				for _, e := range tt.ended {
					want = want || e == name
				}
				if ended != want {
					t.Errorf("the token %s: %v", name, err)
				}
			}
		})
	}
}

func TestBackChannelLogoutConfig(t *testing.T) {
	tokens := newAuthenticator(t, config()) // without Revocations
	for _, tt := range []struct {
		name string
		cfg  bearer.BackChannelLogoutConfig
		want []string
	}{
		{"nothing", bearer.BackChannelLogoutConfig{}, []string{"Tokens: ", "Clients: "}},
		{"the zero Authenticator", bearer.BackChannelLogoutConfig{Tokens: &bearer.Authenticator{}}, []string{"Tokens: "}},
		{
			"no clients, nothing to end",
			bearer.BackChannelLogoutConfig{Tokens: tokens},
			[]string{"Clients: ", "Revocations: nothing would end"},
		},
		{"a client twice", bearer.BackChannelLogoutConfig{
			Tokens:  tokens,
			Clients: []string{"a", "a"}, Revocations: middleware.NewRevocations(),
		}, []string{"Clients: "}},
		{
			"a nil pointer",
			bearer.BackChannelLogoutConfig{Tokens: tokens, Clients: []string{"a"}, Revocations: (*deafRevocations)(nil)},
			[]string{"Revocations: a nil"},
		},
	} {
		_, err := bearer.NewBackChannelLogout(tt.cfg)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), "bearer: BackChannelLogout: "+want) {
				t.Errorf("%s: %v, want %s", tt.name, err, want)
			}
		}
	}
}

// RFC 8725 §3.12: no Profile takes a logout token for an access token, even if its other claims are right.
func TestLogoutTokenIsNoAccessToken(t *testing.T) {
	for _, p := range documented() {
		a := newAuthenticator(t, configFor(&p, p.profile))
		if got := outcomeOf(a, signed(p.header, timed(p.access))); got != "accepted" {
			t.Fatal(p.name, got)
		}
		logout := timed(p.access).with("events", logoutClaims()["events"])
		if got := outcomeOf(a, signed(p.header, logout)); got == "accepted" {
			t.Errorf("%s accepts a logout token", p.name)
		}
	}
}
