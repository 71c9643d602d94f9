package bearer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware/bearer"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDiscovery(t *testing.T) {
	const oidc, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	meta := func(iss, jwks string) string { return object{"issuer": iss, "jwks_uri": jwks}.String() }
	for _, c := range []struct {
		name, issuer string
		pages        map[string]string
		want         string
	}{
		{
			"OpenID Connect Discovery 1.0 §4", "https://a.example",
			map[string]string{"https://a.example" + oidc: meta("https://a.example", "https://b.example/k"), "https://b.example/k": "KEYS"},
			"accepted",
		},
		{
			"the same with a path, appended", "https://a.example/t",
			map[string]string{
				"https://a.example/t" + oidc: meta("https://a.example/t", "https://a.example/k"),
				"https://a.example/k":        "KEYS",
			},
			"accepted",
		},
		{
			"an issuer that ends in a slash", "https://a.example/",
			map[string]string{"https://a.example" + oidc: meta("https://a.example/", "https://a.example/k"), "https://a.example/k": "KEYS"},
			"accepted",
		},
		{
			"RFC 8414 §3.1, inserted", "https://a.example/t",
			map[string]string{
				"https://a.example" + oauth + "/t": meta("https://a.example/t", "https://a.example/k"),
				"https://a.example/k":              "KEYS",
			},
			"accepted",
		},
		{
			"RFC 8414 behind a site whose front page answers every path", "https://a.example/t",
			map[string]string{
				"https://a.example/t" + oidc:       "<!doctype html>",
				"https://a.example" + oauth + "/t": meta("https://a.example/t", "https://a.example/k"), "https://a.example/k": "KEYS",
			},
			"accepted",
		},
		{
			"metadata of another issuer at both places, RFC 8414 §3.3", "https://a.example",
			map[string]string{
				"https://a.example" + oidc:  meta("https://b.example", "https://a.example/k"),
				"https://a.example" + oauth: meta("https://b.example", "https://a.example/k"), "https://a.example/k": "KEYS",
			},
			unavailable,
		},
		{
			"metadata of another issuer, RFC 8414 §3.3", "https://a.example",
			map[string]string{"https://a.example" + oidc: meta("https://a.example/", "https://a.example/k"), "https://a.example/k": "KEYS"},
			unavailable,
		},
		{
			"metadata without issuer", "https://a.example",
			map[string]string{"https://a.example" + oidc: `{"jwks_uri":"https://a.example/k"}`, "https://a.example/k": "KEYS"},
			unavailable,
		},
		{
			"a key set over http", "https://a.example",
			map[string]string{"https://a.example" + oidc: meta("https://a.example", "http://a.example/k"), "http://a.example/k": "KEYS"},
			unavailable,
		},
		{
			"issuer named twice", "https://a.example",
			map[string]string{
				"https://a.example" + oidc: `{"issuer":"x",` + meta("https://a.example", "https://a.example/k")[1:],
				"https://a.example/k":      "KEYS",
			},
			unavailable,
		},
		{"no metadata", "https://a.example", nil, unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			web := roundTrip(func(r *http.Request) (*http.Response, error) {
				page, ok := c.pages[r.URL.String()]
				res := &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody}
				if ok {
					res.StatusCode, res.Body = 200, io.NopCloser(strings.NewReader(strings.ReplaceAll(page, "KEYS", string(goodKeys()))))
				}
				return res, nil
			})
			a := newAuthenticator(t, bearer.Config{
				Issuer:   c.issuer,
				Audience: []string{audience}, Discovery: true, HTTPClient: &http.Client{Transport: web},
			})
			if got := outcomeOf(a, token(header(), claims().with("iss", c.issuer))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// An issuer of a developer's machine serves its metadata and keys without TLS.
func TestDevelopmentIssuer(t *testing.T) {
	for _, location := range []struct{ name, jwks, want string }{
		{"keys beside the metadata", "/keys", "accepted"},
		{"keys of another machine without TLS", "http://keys.example/keys", unavailable},
	} {
		t.Run(location.name, func(t *testing.T) {
			mux := http.NewServeMux()
			idp := httptest.NewServer(mux)
			defer idp.Close()
			jwks := location.jwks
			if strings.HasPrefix(jwks, "/") {
				jwks = idp.URL + jwks
			}
			mux.HandleFunc("/realm/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, object{"issuer": idp.URL + "/realm", "jwks_uri": jwks}.String())
			})
			mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(goodKeys()) })
			a := newAuthenticator(t, bearer.Config{
				Issuer: idp.URL + "/realm", Audience: []string{audience}, Discovery: true, DangerouslyAllowLocalHTTP: true,
			})
			if got := outcomeOf(a, token(header(), claims().with("iss", idp.URL+"/realm"))); got != location.want {
				t.Errorf("got %s, want %s", got, location.want)
			}
		})
	}
}
