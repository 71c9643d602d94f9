package bearer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// headerCase is a row about the Authorization header; GOOD stands for a good token.
type headerCase struct {
	name   string
	values []string
	want   string
}

var headerCases = []headerCase{
	{"no header", nil, "nothing"},
	{"a bearer token, RFC 6750 §2.1", []string{"Bearer GOOD"}, "accepted"},
	{"the scheme in lower case, RFC 9110 §11.1", []string{"bearer GOOD"}, "accepted"},
	{"the scheme in capitals", []string{"BEARER GOOD"}, "accepted"},
	{"several spaces, 1*SP", []string{"Bearer    GOOD"}, "accepted"},
	{"another scheme", []string{"Basic dTpw"}, "nothing"},
	{"another scheme that starts alike", []string{"BearerX GOOD"}, "nothing"},
	{"a DPoP token, RFC 9449 §7.1", []string{"DPoP GOOD"}, "nothing"},
	{"two headers", []string{"Bearer GOOD", "Bearer GOOD"}, malformed},
	{"two headers of two schemes", []string{"Basic dTpw", "Bearer GOOD"}, malformed},
	{"two credentials in one header", []string{"Bearer GOOD, Basic dTpw"}, malformed},
	{"two tokens", []string{"Bearer GOOD GOOD"}, malformed},
	{"an empty header", []string{""}, malformed},
	{"the scheme alone", []string{"Bearer"}, malformed},
	{"the scheme and a space", []string{"Bearer "}, malformed},
	{"a tab for the space", []string{"Bearer\tGOOD"}, malformed},
	{"a space in front", []string{" Bearer GOOD"}, malformed},
	{"a space behind", []string{"Bearer GOOD "}, malformed},
	{"quotes", []string{`Bearer "GOOD"`}, malformed},
	{"auth-params in place of a token", []string{`Bearer token="GOOD"`}, malformed},
	{"padding alone", []string{"Bearer =="}, malformed},
	{"padding within", []string{"Bearer a=b"}, malformed},
	{"a control character", []string{"Bearer a\x00b"}, malformed},
	{"beyond ASCII", []string{"Bearer töken"}, malformed},
	{"the token without scheme", []string{"GOOD"}, "nothing"},
	{"an opaque token, RFC 6750 §3.1", []string{"Bearer mF_9.B5f-4.1JqM"}, invalid},
	{"padding behind the token", []string{"Bearer GOOD="}, invalid},
}

func TestAuthorizationHeader(t *testing.T) {
	a := newAuthenticator(t, config())
	good := token(header(), claims())
	for _, c := range headerCases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "https://api.example/ws", nil)
			for _, v := range c.values {
				r.Header["Authorization"] = append(r.Header["Authorization"], strings.ReplaceAll(v, "GOOD", good))
			}
			if _, err := a.Authenticate(r); outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
		})
	}
}

func TestTokensElsewhereAreNotRead(t *testing.T) {
	a := newAuthenticator(t, config())
	good := token(header(), claims())
	for _, c := range []struct {
		name, query string
		header      bool
		want        string
	}{
		{"in the query, RFC 6750 §2.3, OWASP W10", "access_token=" + good, false, malformed},
		{"in the query and in the header", "a=b&access_token=" + good, true, malformed},
		{"in the query, the name encoded", "%61ccess_token=" + good, false, malformed},
		{"in the query, empty", "access_token", true, malformed},
		{"a parameter of another name", "access_tokens=1&token=" + good, false, "nothing"},
		{"a parameter whose name cannot be decoded", "%zz=1", true, "accepted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "https://api.example/ws?"+c.query, nil)
			if c.header {
				r.Header.Set("Authorization", "Bearer "+good)
			}
			if _, err := a.Authenticate(r); outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
		})
	}
	t.Run("in a form body, RFC 6750 §2.2", func(t *testing.T) {
		body := strings.NewReader("access_token=" + good)
		r := httptest.NewRequest("POST", "https://api.example/ws", body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if _, err := a.Authenticate(r); outcome(err) != "nothing" {
			t.Fatalf("got %s", outcome(err))
		}
		if body.Len() == 0 {
			t.Error("the body was read")
		}
	})
}

func TestChallenges(t *testing.T) {
	cfg := config()
	cfg.Realm = "chat"
	a := newAuthenticator(t, cfg)
	if got := a.Challenge(); got != `Bearer realm="chat"` {
		t.Errorf("Challenge is %s", got)
	}
	if a.Ambient() {
		t.Error("a bearer token is ambient")
	}
	for _, c := range []struct{ name, authorization, want string }{
		{
			"RFC 6750 §3.1: malformed request", "Bearer",
			`Bearer realm="chat", error="invalid_request", error_description="send one access token in one Authorization header"`,
		},
		{
			"RFC 6750 §3.1: invalid token", "Bearer x",
			`Bearer realm="chat", error="invalid_token", error_description="the access token is not valid here"`,
		},
		{
			"RFC 6750 §3.1: expired token", "Bearer " + token(header(), claims().with("exp", 1)),
			`Bearer realm="chat", error="invalid_token", error_description="the access token expired"`,
		},
	} {
		r := httptest.NewRequest("GET", "https://api.example/ws", nil)
		r.Header.Set("Authorization", c.authorization)
		_, err := a.Authenticate(r)
		var f *middleware.Refusal
		if !errors.As(err, &f) || f.Header.Get("WWW-Authenticate") != c.want {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestNothingOfATokenIsTold(t *testing.T) {
	a := newAuthenticator(t, config())
	auth, err := middleware.NewAuth(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []string{
		token(header().with("kid", "kid-secret"), claims()),
		token(header(), claims().with("aud", "aud-value").with("sub", "sub-secret")),
		sign(otherEC(), "ES256", header().String(), claims().with("sub", "sub-secret").String()),
		"opaque-secret",
	} {
		w := httptest.NewRecorder()
		auth.Handler(http.NotFoundHandler()).ServeHTTP(w, request(tok))
		_, err := a.Authenticate(request(tok))
		answer := w.Body.String() + w.Header().Get("WWW-Authenticate")
		mustNotContain(t, "the answer", answer, "secret", tok, issuer, audience, "aud-value")
		mustNotContain(t, "the log", err.Error(), "secret", tok)
	}
}

func TestTheZeroAuthenticatorRefuses(t *testing.T) {
	for _, a := range []*bearer.Authenticator{nil, {}} {
		if _, err := a.Authenticate(request(token(header(), claims()))); outcome(err) != invalid {
			t.Errorf("got %s", outcome(err))
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
