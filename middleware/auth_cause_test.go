package middleware_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// The cause names the authenticators that the Auth has, since the credential may be one for
// another. The error of an authenticator that says more takes its place.
func TestAuthNamesItsAuthenticators(t *testing.T) {
	t.Parallel()
	bearer := &headerCredential{header: "X-Bearer"}
	for _, tt := range []struct {
		name string
		auth *middleware.Auth
		want string
	}{
		{"one", mustAuth(t, bearer), "NewAuth has *middleware_test.headerCredential"},
		{"two", mustAuth(t, bearer, lost{}), "the cookie is lost"},
		{"one in another Auth", mustAuth(t, mustAuth(t, bearer)), "NewAuth has *middleware_test.headerCredential"},
	} {
		_, err := tt.auth.Authenticate(requestWith("GET", "/", "Authorization", "Bearer secret"))
		refusal, _ := errors.AsType[*middleware.Refusal](err)
		if refusal == nil || !errors.Is(refusal.Err, middleware.ErrNoCredential) || !strings.HasSuffix(refusal.Err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// lost finds a credential that is none, and says so.
type lost struct{}

func (lost) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, lostError{}
}

func (lost) Ambient() bool { return true }

type lostError struct{}

func (lostError) Error() string { return "the cookie is lost" }
func (lostError) Unwrap() error { return middleware.ErrNoCredential }
