package bearer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

var (
	_ middleware.Revocable  = (*bearer.Introspector)(nil)
	_ middleware.Challenger = (*bearer.Introspector)(nil)
	_ middleware.Asker      = (*bearer.Introspector)(nil)
	_ middleware.Stripper   = (*bearer.Introspector)(nil)
	_ middleware.Exclusive  = (*bearer.Introspector)(nil)
)

func TestNewIntrospectorRefuses(t *testing.T) {
	t.Parallel()
	type config = bearer.IntrospectionConfig
	for _, tt := range []struct {
		name   string
		change func(*config)
		want   string // "" for accepted
	}{
		{"nothing that is right", func(*config) {}, ""},
		{"no issuer", func(c *config) { c.Issuer = "" }, "bearer: Issuer: "},
		{"no endpoint", func(c *config) { c.Endpoint = "" }, "bearer: Endpoint: write either Endpoint, its URL, or Discovery"},
		{"an endpoint and discovery", func(c *config) { c.Discovery = true }, "bearer: Endpoint: "},
		{
			"an endpoint over http, RFC 7662 §4", func(c *config) { c.Endpoint = "http://issuer.example/introspect" },
			"bearer: Endpoint: not https",
		},
		{"an endpoint of this machine", func(c *config) { c.Endpoint = "http://localhost:8080/introspect" }, "DangerouslyAllowLocalHTTP"},
		{"the same in development", func(c *config) {
			c.Endpoint, c.DangerouslyAllowLocalHTTP = "http://localhost:8080/introspect", true
		}, ""},
		{
			"an endpoint with a password", func(c *config) { c.Endpoint = "https://a:b@issuer.example/" },
			"bearer: Endpoint: has a user name or password",
		},
		{"discovery", func(c *config) { c.Endpoint, c.Discovery = "", true }, ""},
		{
			"discovery of an issuer that is no URL", func(c *config) { c.Endpoint, c.Discovery, c.Issuer = "", true, "me" },
			"bearer: Issuer: with Discovery",
		},
		{"no client", func(c *config) { c.ClientID, c.ClientSecret = "", "" }, "bearer: ClientID: write either"},
		{
			"a client and Authorize", func(c *config) { c.Authorize = func(*http.Request) error { return nil } },
			"bearer: ClientID: write either",
		},
		{
			"a secret without client", func(c *config) { c.ClientID, c.Authorize = "", func(*http.Request) error { return nil } },
			"bearer: ClientSecret: without ClientID",
		},
		{
			"a client without secret and certificate", func(c *config) { c.ClientSecret, c.HTTPClient = "", nil },
			"bearer: ClientSecret: it is empty",
		},
		{"a client with a certificate", func(c *config) { c.ClientSecret = "" }, ""},
		{"neither audience nor clients", func(c *config) { c.Audience = nil }, "bearer: Audience: "},
		{"clients without audience", func(c *config) { c.Audience, c.Clients = nil, []string{"web"} }, ""},
		{"a client twice", func(c *config) { c.Clients = []string{"web", "web"} }, "bearer: Clients: "},
		{"a condition without name", func(c *config) { c.Require = []bearer.Claim{{}} }, "bearer: Require: a Claim without a name"},
		{"an empty path", func(c *config) { c.Roles = [][]string{{}} }, "bearer: Roles: an empty path"},
		{"a prefix with a line break", func(c *config) { c.ClientPrefix = "a\n" }, "bearer: ClientPrefix: "},
		{"a session claim with another meaning", func(c *config) { c.SessionClaim = "sub" }, "bearer: SessionClaim: "},
		{"no leeway", func(c *config) { c.Leeway = 1 }, ""},
		{"too much leeway", func(c *config) { c.Leeway = 3 * time.Minute }, "bearer: Leeway: "},
		{"too long a lifetime", func(c *config) { c.MaxLifetime = 31 * 24 * time.Hour }, "bearer: MaxLifetime: "},
		{"a cache of a minute", func(c *config) { c.CacheFor = time.Minute }, ""},
		{"a longer one", func(c *config) { c.CacheFor = time.Minute + 1 }, "bearer: CacheFor: "},
		{"a negative one", func(c *config) { c.CacheFor = -1 }, "bearer: CacheFor: "},
		{"a large cache", func(c *config) { c.CacheSize = 1<<20 + 1 }, "bearer: CacheSize: "},
		{"a long timeout", func(c *config) { c.Timeout = 2*time.Second + 1 }, "bearer: Timeout: "},
		{"a key of 32 bytes", func(c *config) { c.Key = make([]byte, 32) }, ""},
		{"a key of 16 bytes", func(c *config) { c.Key = make([]byte, 16) }, "bearer: Key: it has 16 bytes: write 32"},
		{"a nil pointer", func(c *config) { c.Revocations = (*deafRevocations)(nil) }, "bearer: Revocations: a nil"},
		{"a resource over http", func(c *config) { c.Resource = "http://api.example" }, "bearer: Resource: "},
	} {
		cfg := introspection(newTokenIssuer())
		tt.change(&cfg)
		switch _, err := bearer.NewIntrospector(cfg); {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	_, err := bearer.NewIntrospector(bearer.IntrospectionConfig{Key: []byte{1}, Timeout: time.Hour})
	if err == nil || strings.Count(err.Error(), "\n") != 5 { // Issuer, Audience, Endpoint, ClientID, Key, Timeout
		t.Errorf("everything at once: %v", err)
	}
}

// The configuration shows its secrets in no format.
func TestAnIntrospectionConfigKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	cfg := introspection(newTokenIssuer())
	cfg.Key = bytes.Repeat([]byte("K"), 32)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", cfg)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "cfg", cfg)
	text := fmt.Sprintf("%v %+v %#v %s %q %d %x", cfg, cfg, cfg, cfg, cfg, cfg, cfg) + fmt.Sprint([]bearer.IntrospectionConfig{cfg}) +
		log.String()
	mustNotContain(t, "the configuration", text, clientSecret, "KKKK", "75, 75", "s3cret", "4b4b")
	if n := strings.Count(text, issuer); n != 10 {
		t.Errorf("the issuer is shown %d times: %s", n, text)
	}
}

// This service authenticates in the ways of RFC 6749 §2.3.1, RFC 8705 §2 and those of Authorize.
func TestHowTheServiceAuthenticates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*bearer.IntrospectionConfig)
		header string
		form   url.Values
	}{
		{
			// base64 of api+server:s3cret%3Awith%2Fodd%2Bcharacters%26%C3%BC
			name: "client_secret_basic, form-urlencoded first", change: func(*bearer.IntrospectionConfig) {},
			header: "Basic YXBpK3NlcnZlcjpzM2NyZXQlM0F3aXRoJTJGb2RkJTJCY2hhcmFjdGVycyUyNiVDMyVCQw==",
		},
		{
			name: "a client certificate", change: func(c *bearer.IntrospectionConfig) { c.ClientSecret = "" },
			form: url.Values{"client_id": {clientID}},
		},
		{
			name: "a bearer token, RFC 7662 §2.1",
			change: func(c *bearer.IntrospectionConfig) {
				c.ClientID, c.ClientSecret = "", ""
				c.Authorize = func(r *http.Request) error { r.Header.Set("Authorization", "Bearer mine"); return nil }
			},
			header: "Bearer mine",
		},
		{
			name: "private_key_jwt, RFC 7523 §2.2",
			change: func(c *bearer.IntrospectionConfig) {
				c.ClientID, c.ClientSecret = "", ""
				c.Authorize = func(r *http.Request) error { r.PostForm.Set("client_assertion", "a.b.c"); return nil }
			},
			form: url.Values{"client_assertion": {"a.b.c"}},
		},
	} {
		i := newTokenIssuer()
		cfg := introspection(i)
		tt.change(&cfg)
		var header, accept, body string
		i.becomes(func(w http.ResponseWriter, r *http.Request) {
			sent, _ := io.ReadAll(r.Body)
			header, accept, body = r.Header.Get("Authorization"), r.Header.Get("Accept"), string(sent)
			says(`{"active":false}`)(w, r)
		})
		if _, err := newIntrospector(t, cfg).Authenticate(request(opaque)); outcome(err) != invalid {
			t.Errorf("%s: %s, %v", tt.name, outcome(err), err)
		}
		form := url.Values{"token": {opaque}, "token_type_hint": {"access_token"}}
		for name, value := range tt.form {
			form[name] = value
		}
		if header != tt.header || body != form.Encode() || accept != "application/json" {
			t.Errorf("%s: %q, %q, %q", tt.name, header, body, accept)
		}
	}
}

// The endpoint is found in the issuer's metadata (RFC 8414 §2), when the first token comes. An issuer
// that is down is asked again after 10 s; an endpoint that is known is used meanwhile.
func TestDiscoveryOfTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		looked, meta := 0, ""
		web := roundTrip(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.String() == "https://elsewhere.example/ask":
				return i.RoundTrip(r)
			case r.URL.Path != "/.well-known/openid-configuration":
				return &http.Response{StatusCode: 404, Body: http.NoBody}, nil
			case meta == "":
				looked++
				return nil, errors.New("down")
			}
			looked++
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(meta))}, nil
		})
		cfg := introspection(web)
		cfg.Endpoint, cfg.Discovery, cfg.CacheFor = "", true, 1
		a := newIntrospector(t, cfg)
		good := object{"issuer": issuer, "introspection_endpoint": "https://elsewhere.example/ask"}
		for _, step := range []struct {
			name   string
			meta   string
			after  time.Duration
			want   string
			looked int
		}{
			{name: "the issuer is down", want: unavailable, looked: 1},
			{name: "it is back, within 10 s", meta: good.String(), after: 9 * time.Second, want: unavailable, looked: 1},
			{
				name: "metadata of another issuer, RFC 8414 §3.3",
				meta: good.with("issuer", "https://other.example").String(), after: time.Second, want: unavailable, looked: 2,
			},
			{
				name: "without the endpoint", meta: good.without("introspection_endpoint").String(),
				after: 10 * time.Second, want: unavailable, looked: 3,
			},
			{
				name: "an endpoint over http", meta: good.with("introspection_endpoint", "http://issuer.example/").String(),
				after: 10 * time.Second, want: unavailable, looked: 4,
			},
			{name: "good", meta: good.String(), after: 10 * time.Second, want: "accepted", looked: 5},
			{name: "the issuer is down, the endpoint is not", after: 2 * time.Minute, want: "accepted", looked: 5},
			{name: "for longer than an hour", after: 56 * time.Minute, want: "accepted", looked: 5},
			{name: "still", after: 2 * time.Minute, want: "accepted", looked: 6},
		} {
			meta = step.meta
			time.Sleep(step.after)
			i.issues(opaque, members())
			_, err := a.Authenticate(request(opaque))
			synctest.Wait()
			if outcome(err) != step.want || looked != step.looked {
				t.Errorf("%s: %s after %d look-ups, want %s after %d: %v", step.name, outcome(err), looked, step.want, step.looked, err)
			}
		}
	})
}
