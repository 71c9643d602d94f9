package bearer_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

const (
	clientID     = "api server" // a space and a colon are encoded, RFC 6749 §2.3.1
	clientSecret = "s3cret:with/odd+characters&ü"
	opaque       = "2YotnFZFEjr1zCsicMWpAA" // RFC 6750 §4
)

// tokenIssuer is an authorization server with an introspection endpoint (RFC 7662 §2). It knows
// one client, and the tokens that it was told.
type tokenIssuer struct {
	mu     sync.Mutex
	tokens map[string]object
	ill    http.HandlerFunc // answers in its place; nil: it is well
	asked  atomic.Int64
}

func newTokenIssuer() *tokenIssuer { return &tokenIssuer{tokens: map[string]object{}} }

func (i *tokenIssuer) issues(token string, members object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[token] = members
}

func (i *tokenIssuer) revokes(token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.tokens, token)
}

func (i *tokenIssuer) becomes(ill http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ill = ill
}

func (i *tokenIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.asked.Add(1)
	i.mu.Lock()
	ill := i.ill
	i.mu.Unlock()
	if ill != nil {
		ill(w, r)
		return
	}
	i.introspect(w, r)
}

func (i *tokenIssuer) introspect(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	id, _ := url.QueryUnescape(user)
	secret, _ := url.QueryUnescape(password)
	switch {
	case r.Method != http.MethodPost, r.Header.Get("Content-Type") != "application/x-www-form-urlencoded", r.URL.RawQuery != "":
		w.WriteHeader(400) // RFC 7662 §2.1
		return
	case id != clientID || secret != clientSecret:
		w.Header().Set("WWW-Authenticate", `Basic realm="clients"`)
		w.WriteHeader(401) // RFC 7662 §2.3
		return
	case r.ParseForm() != nil || len(r.PostForm["token"]) != 1 || r.PostForm.Get("token_type_hint") != "access_token":
		w.WriteHeader(400)
		return
	}
	answer := object{"active": false}
	i.mu.Lock()
	defer i.mu.Unlock()
	if members, ok := i.tokens[r.PostForm.Get("token")]; ok {
		exp, limited := members["exp"].(int64)
		if !limited || time.Now().Unix() < exp {
			answer = object{"active": true}
			for name, value := range members {
				answer[name] = value
			}
		}
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer)
}

// RoundTrip serves without a network, for tests in fake time.
func (i *tokenIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// members are those of the answer about an access token, as in RFC 7662 §2.2.
func members() object {
	now := time.Now().Unix()
	return object{
		"iss": issuer, "sub": "alice", "aud": audience, "client_id": "app", "username": "alice@example", "scope": "read write",
		"token_type": "Bearer", "exp": now + 3600, "iat": now, "jti": "token-1",
	}
}

func introspection(i http.RoundTripper) bearer.IntrospectionConfig {
	return bearer.IntrospectionConfig{
		Issuer: issuer, Endpoint: issuer + "/introspect", ClientID: clientID, ClientSecret: clientSecret,
		Audience: []string{audience}, HTTPClient: &http.Client{Transport: i}, Log: slog.New(slog.DiscardHandler),
	}
}

func newIntrospector(t testing.TB, cfg bearer.IntrospectionConfig) *bearer.Introspector {
	t.Helper()
	i, err := bearer.NewIntrospector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// introspected returns the outcome for a token, after the issuer has issued it with the members.
func introspected(t testing.TB, cfg func(*bearer.IntrospectionConfig), answer object) (bearer.IntrospectionConfig, error) {
	t.Helper()
	i := newTokenIssuer()
	i.issues(opaque, answer)
	c := introspection(i)
	if cfg != nil {
		cfg(&c)
	}
	_, err := newIntrospector(t, c).Authenticate(request(opaque))
	return c, err
}

// safeBuffer is a bytes.Buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
