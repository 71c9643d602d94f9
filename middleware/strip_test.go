package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
)

// hidden is a credential in a header that no other handler may see.
type hidden struct{ headerCredential }

type hiddenKey struct{}

func (h *hidden) Stripped(r *http.Request) *http.Request {
	secret := r.Header.Get(h.header)
	if secret == "" {
		return r
	}
	r = r.Clone(context.WithValue(r.Context(), hiddenKey{}, secret))
	r.Header.Del(h.header)
	return r
}

func (h *hidden) Authenticate(r *http.Request) (middleware.Principal, error) {
	if secret, ok := r.Context().Value(hiddenKey{}).(string); ok {
		r = requestWith("GET", "/", h.header, secret)
	}
	return h.headerCredential.Authenticate(r)
}

// Auth.Handler and Auth.Strip pass on no credential that a Stripper knows. The credential
// counts anyway, and beside a second one the request is refused.
func TestAuthStrips(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"}, &hidden{headerCredential{header: "X-Hidden"}})
	spy := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Hidden") != "" {
				t.Error("the next handler sees the credential")
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, layers := range map[string][]middleware.Middleware{
		"Handler":             {auth.Handler, spy},
		"Strip, then Handler": {auth.Strip, spy, auth.Handler, spy},
		"Strip twice":         {auth.Strip, auth.Strip, spy, auth.Handler, spy},
	} {
		h := middleware.Chain(http.HandlerFunc(whoami), layers...)
		for _, tt := range []struct {
			header []string
			status int
			reason string
		}{
			{[]string{"X-Hidden", "ann"}, 200, "X-Hidden:ann"},
			{[]string{"X-Hidden", "bad"}, 401, "credential_invalid"},
			{[]string{"X-Hidden", "ann", "X-Bearer", "ann"}, 400, "multiple_credentials"},
			{[]string{"X-Bearer", "ann"}, 200, "X-Bearer:ann"},
			{nil, 401, "no_credential"},
		} {
			if status, reason := answer(t, h, requestWith("GET", "/", tt.header...)); status != tt.status || reason != tt.reason {
				t.Errorf("%s: %v: %d %s, want %d %s", name, tt.header, status, reason, tt.status, tt.reason)
			}
		}
	}
	var zero *middleware.Auth
	r := httptest.NewRequest("GET", "/", nil)
	if zero.Stripped(r) != r || new(middleware.Auth).Stripped(r) != r {
		t.Error("the zero Auth changes a request")
	}
}
