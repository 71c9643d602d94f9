package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// A 401 names every accepted scheme (RFC 9110 §11.6.1, §15.5.2), unless the
// authenticator has named the fault more precisely (RFC 6750 §3.1).
func TestAuthChallenges(t *testing.T) {
	t.Parallel()
	own := &middleware.Refusal{
		Status: 401, Reason: middleware.ReasonCredentialExpired,
		Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}},
	}
	auth := mustAuth(t,
		&challengingCredential{headerCredential{header: "X-Bearer", challenge: `Bearer realm="api"`}},
		&challengingCredential{headerCredential{header: "X-Dpop", challenge: `DPoP algs="ES256"`}},
		funcCredential(func(r *http.Request) (middleware.Principal, error) {
			if r.Header.Get("X-Expired") != "" {
				return middleware.Principal{}, own
			}
			return middleware.Principal{}, middleware.ErrNoCredential
		}))
	for _, tt := range []struct {
		name   string
		header []string
		status int
		want   []string
	}{
		{"no credential", nil, 401, []string{`Bearer realm="api"`, `DPoP algs="ES256"`}},
		{"a bad one", []string{"X-Bearer", "bad"}, 401, []string{`Bearer realm="api"`, `DPoP algs="ES256"`}},
		{"the authenticator's own", []string{"X-Expired", "1"}, 401, []string{`Bearer error="invalid_token"`}},
		{"not on a 400", []string{"X-Bearer", "ann", "X-Dpop", "ann"}, 400, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			auth.Handler(http.HandlerFunc(whoami)).ServeHTTP(rec, requestWith("GET", "/", tt.header...))
			if got := rec.Result().Header["Www-Authenticate"]; rec.Code != tt.status || !slices.Equal(got, tt.want) {
				t.Errorf("%d %q, want %d %q", rec.Code, got, tt.status, tt.want)
			}
		})
	}
	t.Run("of a handler behind, for the Auth that vouched", func(t *testing.T) {
		wanting := &middleware.Refusal{Status: 401, Reason: middleware.ReasonCredentialExpired}
		for _, tt := range []struct {
			header []string
			want   string
		}{
			{[]string{"X-Bearer", "ann"}, `Bearer realm="api", DPoP algs="ES256"`},
			{nil, "Bearer"},
		} {
			r := requestWith("GET", "/", tt.header...)
			if tt.header != nil {
				var err error
				if r, err = auth.Admit(r); err != nil {
					t.Fatal(err)
				}
			}
			rec := httptest.NewRecorder()
			middleware.Refuse(rec, r, wanting)
			if got := strings.Join(rec.Result().Header["Www-Authenticate"], ", "); got != tt.want {
				t.Errorf("%v: %q, want %q", tt.header, got, tt.want)
			}
		}
	})
	if len(own.Header) != 1 || len(own.Header["Www-Authenticate"]) != 1 {
		t.Errorf("the refusal of the authenticator was written to: %v", own.Header)
	}
}

func TestAuthAdmit(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"})
	in := requestWith("GET", "/", "X-Bearer", "ann")
	out, err := auth.Admit(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := middleware.FromContext(out.Context()); !ok || got.Subject != "ann" {
		t.Errorf("context holds %+v, %v", got, ok)
	}
	if _, ok := middleware.FromContext(in.Context()); ok {
		t.Error("the caller's request was changed")
	}
	if again, err := auth.Admit(out); again != out || err != nil {
		t.Errorf("a request that was vouched for is copied again: %v", err)
	}
	if r, err := auth.Admit(requestWith("GET", "/", "X-Bearer", "bad")); err == nil || r == nil {
		t.Errorf("a refused request: %v, %v", r, err)
	}
	for _, r := range []*http.Request{in, out} {
		if p, err := auth.Authenticate(r); err != nil || p.Subject != "ann" {
			t.Errorf("Authenticate: %+v, %v", p, err)
		}
	}
	if p, err := auth.Authenticate(requestWith("GET", "/", "X-Bearer", "bad")); err == nil || p.Subject != "" {
		t.Errorf("refused, but with principal %+v", p)
	}
}
