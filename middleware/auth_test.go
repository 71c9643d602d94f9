package middleware_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// headerCredential is an authenticator of the tests: the value of one header is the
// subject, "bad" is not genuine, "down" cannot be decided.
type headerCredential struct {
	header    string
	ambient   bool
	challenge string
	asked     *[]string
}

func (c *headerCredential) Ambient() bool { return c.ambient }

func (c *headerCredential) Authenticate(r *http.Request) (middleware.Principal, error) {
	if c.asked != nil {
		*c.asked = append(*c.asked, c.header)
	}
	switch subject := r.Header.Get(c.header); subject {
	case "":
		return middleware.Principal{}, middleware.ErrNoCredential
	case "bad":
		return middleware.Principal{}, &middleware.Refusal{
			Status: 401, Reason: middleware.ReasonCredentialInvalid, Err: errors.New("signature of s3cret-token is wrong"),
		}
	case "down":
		return middleware.Principal{}, errors.New("dial tcp 10.0.0.9:6379: refused")
	default:
		return middleware.Principal{Issuer: "test", Subject: subject, Method: c.header}, nil
	}
}

type challengingCredential struct{ headerCredential }

func (c *challengingCredential) Challenge() string { return c.challenge }

// funcCredential and fieldCredential are authenticators of unusual kinds.
type funcCredential func(r *http.Request) (middleware.Principal, error)

func (funcCredential) Ambient() bool                                                { return false }
func (f funcCredential) Authenticate(r *http.Request) (middleware.Principal, error) { return f(r) }

type fieldCredential struct{ any }

func (fieldCredential) Ambient() bool { return false }
func (fieldCredential) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.ErrNoCredential
}

func mustAuth(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func requestWith(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// answer serves the request and returns the status and the reason of its problem.
func answer(t testing.TB, h http.Handler, r *http.Request) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var problem struct{ Reason string }
	_ = json.Unmarshal(rec.Body.Bytes(), &problem)
	return rec.Code, problem.Reason
}

func whoami(w http.ResponseWriter, r *http.Request) {
	p, ok := middleware.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusTeapot)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"reason": p.Method + ":" + p.Subject})
}

func TestNewAuthReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	one := &headerCredential{header: "X-One"}
	var typedNil *headerCredential
	var nilFunc funcCredential
	_, err := middleware.NewAuth(nil, typedNil, nilFunc, one, one, middleware.Anonymous(), middleware.Anonymous())
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"middleware: NewAuth: authenticator 0 (<nil>): it is nil",
		"middleware: NewAuth: authenticator 1 (*middleware_test.headerCredential): it is nil",
		"middleware: NewAuth: authenticator 2 (middleware_test.funcCredential): it is nil",
		"middleware: NewAuth: authenticator 4 (*middleware_test.headerCredential): it is given twice",
		"middleware: NewAuth: authenticator 6 (middleware.anonymous): Anonymous() is given twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if _, err := middleware.NewAuth(); err == nil || !strings.Contains(err.Error(), "middleware: NewAuth: no authenticator") {
		t.Errorf("empty list: %v", err)
	}
}

// An authenticator may be of a type that cannot be compared.
func TestNewAuthTakesIncomparableAuthenticators(t *testing.T) {
	t.Parallel()
	f := funcCredential(func(*http.Request) (middleware.Principal, error) {
		return middleware.Principal{}, middleware.ErrNoCredential
	})
	if _, err := middleware.NewAuth(f, f, fieldCredential{[]int{1}}, fieldCredential{[]int{1}}); err != nil {
		t.Fatal(err)
	}
}

// Exactly one credential, and the right one (ASVS 6.3.4).
func TestAuthExactlyOneCredential(t *testing.T) {
	t.Parallel()
	bearer := &headerCredential{header: "X-Bearer"}
	ticket := &headerCredential{header: "X-Ticket"}
	cookie := &headerCredential{header: "X-Cookie", ambient: true}
	strict := mustAuth(t, cookie, bearer, ticket)
	open := mustAuth(t, middleware.Anonymous(), bearer, ticket)
	onlyAnonymous := mustAuth(t, middleware.Anonymous())
	for _, tt := range []struct {
		name   string
		auth   *middleware.Auth
		header []string
		status int
		reason string
	}{
		{name: "a credential is accepted", auth: strict, header: []string{"X-Bearer", "ann"}, status: 200, reason: "X-Bearer:ann"},
		{name: "of any kind that is listed", auth: strict, header: []string{"X-Ticket", "ann"}, status: 200, reason: "X-Ticket:ann"},
		{name: "none is refused", auth: strict, status: 401, reason: "no_credential"},
		{
			name: "two are refused", auth: strict, header: []string{"X-Bearer", "ann", "X-Ticket", "ann"},
			status: 400, reason: "multiple_credentials",
		},
		{
			name: "two are refused though the first is bad", auth: strict,
			header: []string{"X-Bearer", "bad", "X-Ticket", "ann"}, status: 400, reason: "multiple_credentials",
		},
		{
			name: "two are refused though the second is bad", auth: strict,
			header: []string{"X-Bearer", "ann", "X-Ticket", "bad"}, status: 400, reason: "multiple_credentials",
		},
		{
			name: "two are refused though one cannot be decided",
			auth: strict, header: []string{"X-Cookie", "down", "X-Ticket", "ann"}, status: 400, reason: "multiple_credentials",
		},
		{name: "a bad one is refused", auth: strict, header: []string{"X-Bearer", "bad"}, status: 401, reason: "credential_invalid"},
		{
			name: "a bad one never falls through to Anonymous",
			auth: open, header: []string{"X-Bearer", "bad"}, status: 401, reason: "credential_invalid",
		},
		{
			name: "an undecided one does not fall through either",
			auth: open, header: []string{"X-Bearer", "down"}, status: 500, reason: "internal",
		},
		{
			name: "Anonymous is asked last, at any place in the list",
			auth: open, header: []string{"X-Ticket", "ann"}, status: 200, reason: "X-Ticket:ann",
		},
		{name: "Anonymous admits a request without a credential", auth: open, status: 200, reason: "anonymous:"},
		{name: "Anonymous may stand alone", auth: onlyAnonymous, status: 200, reason: "anonymous:"},
		{
			name: "the zero Auth refuses", auth: &middleware.Auth{},
			header: []string{"X-Bearer", "ann"}, status: 401, reason: "no_credential",
		},
		{name: "a nil Auth refuses", header: []string{"X-Bearer", "ann"}, status: 401, reason: "no_credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, reason := answer(t, tt.auth.Handler(http.HandlerFunc(whoami)), requestWith("GET", "/", tt.header...))
			if status != tt.status || reason != tt.reason {
				t.Errorf("%d %q, want %d %q", status, reason, tt.status, tt.reason)
			}
		})
	}
}

// A browser sends a cookie automatically: without an Origin the page behind the request is
// not known (RFC 6455 §10.2, ASVS 4.4.2). AllowMissing of an OriginPolicy in an outer layer
// does not change that.
func TestAuthAmbientCredentialNeedsOrigin(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Cookie", ambient: true}, &headerCredential{header: "X-Bearer"})
	if !auth.Ambient() || mustAuth(t, &headerCredential{header: "X-Bearer"}).Ambient() {
		t.Error("Ambient does not say whether one of the authenticators is")
	}
	handshake := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	for _, tt := range []struct {
		name, method string
		header       []string
		status       int
	}{
		{"a handshake without Origin", "GET", append(handshake, "X-Cookie", "ann"), 403},
		{"a handshake with an empty Origin", "GET", append(handshake, "X-Cookie", "ann", "Origin", ""), 403},
		{"a handshake with Origin", "GET", append(handshake, "X-Cookie", "ann", "Origin", "https://app.example"), 200},
		{"a handshake of a native client", "GET", append(handshake, "X-Bearer", "ann"), 200},
		{"POST without Origin", "POST", []string{"X-Cookie", "ann"}, 403},
		{"an unknown method without Origin", "PROPFIND", []string{"X-Cookie", "ann"}, 403},
		{"POST with Origin", "POST", []string{"X-Cookie", "ann", "Origin", "https://app.example"}, 200},
		{"GET without Origin", "GET", []string{"X-Cookie", "ann"}, 200},
		{"HEAD without Origin", "HEAD", []string{"X-Cookie", "ann"}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, reason := answer(t, auth.Handler(http.HandlerFunc(whoami)), requestWith(tt.method, "/", tt.header...))
			if status != tt.status {
				t.Errorf("%d %s, want %d", status, reason, tt.status)
			}
			if tt.status == 403 && reason != "origin_missing" {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

// The context names the Auth that vouched for the request.
func TestAuthIsNotSatisfiedByAWeakerOuterAuth(t *testing.T) {
	t.Parallel()
	weak := mustAuth(t, middleware.Anonymous())
	strict := mustAuth(t, &headerCredential{header: "X-Bearer"})
	h := middleware.Chain(http.HandlerFunc(whoami), weak.Handler, strict.Handler)
	if status, reason := answer(t, h, requestWith("GET", "/")); status != 401 || reason != "no_credential" {
		t.Errorf("%d %s", status, reason)
	}
	if status, reason := answer(t, h, requestWith("GET", "/", "X-Bearer", "ann")); status != 200 || reason != "X-Bearer:ann" {
		t.Errorf("the innermost does not win: %d %s", status, reason)
	}
}

func TestAuthIsNotAskedTwice(t *testing.T) {
	t.Parallel()
	var asked []string
	auth := mustAuth(t, &headerCredential{header: "X-Bearer", asked: &asked}, &headerCredential{header: "X-Ticket", asked: &asked})
	h := middleware.Chain(http.HandlerFunc(whoami), auth.Handler, auth.Handler)
	if status, reason := answer(t, h, requestWith("GET", "/", "X-Bearer", "ann")); status != 200 {
		t.Fatalf("%d %s", status, reason)
	}
	if want := []string{"X-Bearer", "X-Ticket"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want each once: %q", asked, want)
	}
}
