package bearer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// RFC 9728 §3.1 and §5.1: a client follows the challenge of a 401 to the metadata, and finds the issuer.
func TestResourceMetadata(t *testing.T) {
	const wellKnown = "/.well-known/oauth-protected-resource"
	for _, c := range []struct{ resource, metadata string }{
		{"https://api.example", "https://api.example" + wellKnown},
		{"https://api.example/", "https://api.example" + wellKnown},
		{"https://api.example:8443/v1", "https://api.example:8443" + wellKnown + "/v1"},
		{"https://api.example/v1/", "https://api.example" + wellKnown + "/v1/"},
		{"https://api.example/a%2Fb?c=d", "https://api.example" + wellKnown + "/a%2Fb?c=d"},
	} {
		t.Run(c.resource, func(t *testing.T) {
			cfg := config()
			cfg.Resource, cfg.ResourceScopes = c.resource, []string{"read"}
			tokens := newAuthenticator(t, cfg)
			auth, err := middleware.NewAuth(tokens)
			if err != nil {
				t.Fatal(err)
			}
			h := tokens.Metadata(auth.Handler(middleware.RequireScope("admin")(http.NotFoundHandler())))
			for name, r := range map[string]*http.Request{
				"no token":         httptest.NewRequest("GET", "/", nil),
				"a bad token":      request("e30.e30.AAAA"),
				"too few scopes":   request(token(header(), claims())),
				"another path":     httptest.NewRequest("GET", wellKnown+"/other", nil),
				"another query":    httptest.NewRequest("GET", c.metadata+"?x=y", nil),
				"an unsafe method": httptest.NewRequest("POST", c.metadata, nil),
			} {
				if got := answerOf(h, r).Header.Get("WWW-Authenticate"); !strings.Contains(got, `, resource_metadata="`+c.metadata+`"`) {
					t.Errorf("%s: WWW-Authenticate is %q", name, got)
				}
			}
			res := answerOf(h, httptest.NewRequest("GET", c.metadata, nil))
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" ||
				res.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("the metadata: %d %v", res.StatusCode, res.Header)
			}
			want := `{"resource":"` + c.resource +
				`","authorization_servers":["https://issuer.example"],"bearer_methods_supported":["header"],"scopes_supported":["read"]}`
			if got := bodyOf(t, res); got != want {
				t.Errorf("the metadata is %s, want %s", got, want)
			}
		})
	}
}

func TestMetadataOfSeveralIssuers(t *testing.T) {
	one, tenants := config(), config()
	one.Resource, tenants.Resource = "https://api.example", "https://api.example"
	tenants.Profile, tenants.Issuer, tenants.Tenants = bearer.EntraV2(), "https://login.example/{tenant}/v2.0", []string{"a", "b"}
	both, err := bearer.NewIssuers(newAuthenticator(t, one), newAuthenticator(t, tenants))
	if err != nil {
		t.Fatal(err)
	}
	res := answerOf(both.Metadata(http.NotFoundHandler()), httptest.NewRequest("GET", "/.well-known/oauth-protected-resource", nil))
	want := `{"resource":"https://api.example","authorization_servers":["https://issuer.example","https://login.example/a/v2.0",` +
		`"https://login.example/b/v2.0"],"bearer_methods_supported":["header"]}`
	if got := bodyOf(t, res); got != want {
		t.Errorf("the metadata is %s, want %s", got, want)
	}
	other := config()
	other.Issuer, other.Resource = "https://other.example", "https://other-api.example"
	if _, err := bearer.NewIssuers(newAuthenticator(t, one), newAuthenticator(t, other)); err == nil ||
		!strings.Contains(err.Error(), "Resource differs") {
		t.Errorf("two names of this service: %v", err)
	}
}

// Without Config.Resource nothing is said of one, and nothing is served.
func TestNoResource(t *testing.T) {
	tokens := newAuthenticator(t, config())
	if got := tokens.Challenge(); got != `Bearer realm="api"` {
		t.Errorf("Challenge is %q", got)
	}
	res := answerOf(tokens.Metadata(http.NotFoundHandler()), httptest.NewRequest("GET", "/.well-known/oauth-protected-resource", nil))
	if res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
}

func answerOf(h http.Handler, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
