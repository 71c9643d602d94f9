package providers

import (
	"net/url"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// patience bounds one step of a test.
const patience = 30 * time.Second

// provider is an identity provider that a test has started.
type provider interface {
	issuer() string
	config() bearer.Config // the Profile and the Audience
	causes() causes
	clients() clients
	ask(wish) url.Values // how a client asks for a token
	rotate()             // publishes another key, and signs with that
	withdraw()           // publishes no key but the last
}

// wish is the access token that a client wants.
type wish int

const (
	here            wish = iota // for the server of the test
	elsewhere                   // for another server
	brief                       // for the server of the test, for 5 s
	opaque                      // for the server of the test, which asks the provider about it
	opaqueElsewhere             // for another server, which asks the provider about it
)

// clients are the clients and the user that a provider knows. The page has no secret.
type clients struct {
	page, service, secret string
	user, password        string
	subject, scopes       string // of the user's access tokens
}

// causes are in the log if a token is refused.
type causes struct{ idToken, audience string }

// eachProvider runs the test with each provider.
func eachProvider(t *testing.T, test func(t *testing.T, p provider)) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]func(t testing.TB) provider{
		"oidc-provider": func(t testing.TB) provider { return startOIDCProvider(t, "https://app.example/logout") },
		"zitadel/oidc":  func(t testing.TB) provider { return startZitadel(t, "https") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}
