package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// good is a token as POST /api/token mints them.
func (s *site) good(t *testing.T) string {
	t.Helper()
	token, err := s.issuer.mint("alice", "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims are those of a good token, with the change.
func (s *site) claims(change map[string]any) []byte {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": s.origin, "aud": s.origin, "sub": "alice", "iat": now, "exp": now + 300,
		"jti": rand.Text(), "client_id": clientID,
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	b, _ := json.Marshal(c)
	return b
}

// sign is a JWS by any key, algorithm and typ.
func sign(t *testing.T, claims []byte, typ, kid string, alg jwa.SignatureAlgorithm, key any) string {
	t.Helper()
	h := jws.NewHeaders()
	for name, value := range map[string]string{"typ": typ, "kid": kid} {
		if err := h.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	b, err := jws.Sign(claims, jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokens(t *testing.T) {
	s := startSite(t, generous)
	kid, _ := s.issuer.key.KeyID()
	ours := func(typ string, change map[string]any) string {
		return sign(t, s.claims(change), typ, kid, jwa.EdDSA(), s.issuer.key)
	}
	public, err := s.issuer.key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	publicBytes, _ := json.Marshal(public)
	parts := strings.Split(s.good(t), ".")
	b64 := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()

	cases := []struct{ name, token, reason string }{
		{"expired", ours("at+jwt", map[string]any{"iat": now - 600, "exp": now - 300}), "credential_expired"},
		{"another audience", ours("at+jwt", map[string]any{"aud": "https://other.example"}), "credential_invalid"},
		{"another issuer", ours("at+jwt", map[string]any{"iss": "https://other.example"}), "credential_invalid"},
		{"no expiry", ours("at+jwt", map[string]any{"exp": nil}), "credential_invalid"},
		{"no subject", ours("at+jwt", map[string]any{"sub": nil}), "credential_invalid"},
		{"an ID token", ours("JWT", nil), "credential_invalid"},
		{"a lifetime that is never given", ours("at+jwt", map[string]any{"exp": now + 86_400}), "credential_invalid"},
		{"not valid yet", ours("at+jwt", map[string]any{"nbf": now + 200}), "credential_invalid"},
		{"HS256 by the public key", sign(t, s.claims(nil), "at+jwt", kid, jwa.HS256(), publicBytes), "credential_invalid"},
		{"alg none", b64([]byte(`{"alg":"none","typ":"at+jwt","kid":"`+kid+`"}`)) + "." + b64(s.claims(nil)) + ".", "credential_invalid"},
		{"another issuer's key", sign(t, s.claims(nil), "at+jwt", kid, jwa.EdDSA(), otherKey(t, s.origin)), "credential_invalid"},
		{
			"other claims under a good signature", parts[0] + "." + b64(s.claims(map[string]any{"sub": "bob"})) + "." + parts[2],
			"credential_invalid",
		},
		{"a changed signature", parts[0] + "." + parts[1] + "." + flip(parts[2]), "credential_invalid"},
		{"no signature", parts[0] + "." + parts[1] + ".", "credential_invalid"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer, body := s.send(t, s.dial(t), "/ws", http.Header{"Authorization": {"Bearer " + c.token}, "Origin": nil})
			checkAnswer(t, answer, body, 401, c.reason)
			if got := answer.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) { // RFC 6750 §3.1
				t.Errorf("WWW-Authenticate %q", got)
			}
		})
	}
}

func otherKey(t *testing.T, name string) jwk.Key {
	t.Helper()
	other, err := newIssuer(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return other.key
}

// flip changes the first character of a signature.
func flip(signature string) string {
	if signature[0] == 'A' {
		return "B" + signature[1:]
	}
	return "A" + signature[1:]
}

// A token of POST /api/token opens a socket and verifies with the published key, and is
// issued only for the cookie.
func TestMint(t *testing.T) {
	s := startSite(t, generous)
	status, body := s.post(t, "/api/token", http.Header{"Cookie": {s.cookie}, "Origin": {s.origin}})
	var got struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &got); err != nil || status != 200 || got.TokenType != "Bearer" || got.ExpiresIn != 300 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	keys, err := jwk.Parse(s.issuer.public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jws.Verify([]byte(got.AccessToken), jws.WithKeySet(keys)); err != nil {
		t.Errorf("the published keys do not verify it: %v", err)
	}
	if strings.Contains(string(s.issuer.public), `"d"`) {
		t.Error("the private key is published")
	}
	answer, text := s.send(t, s.dial(t), "/ws", http.Header{"Authorization": {"Bearer " + got.AccessToken}, "Origin": nil})
	checkAnswer(t, answer, text, 101, "")

	if status, _ := s.post(t, "/api/token", http.Header{"Authorization": {"Bearer " + got.AccessToken}}); status != 401 {
		t.Errorf("a token for a token: %d, want 401", status)
	}
	if status, _ := s.post(t, "/api/token", http.Header{"Cookie": {s.cookie}}); status != 403 {
		t.Errorf("the cookie without Origin: %d, want 403", status)
	}
	if status, _ := s.post(t, "/api/token", http.Header{"Cookie": {s.cookie}, "Origin": {"https://evil.example"}}); status != 403 {
		t.Errorf("a foreign page: %d, want 403", status)
	}
}

func (s *site) post(t *testing.T, path string, fields http.Header) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = fields
	answer, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, body
}
