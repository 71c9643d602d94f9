package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// change has the claims in which a token differs from one of POST /login; nil removes one.
type change = map[string]any

// claims returns those of the user's token, with the change.
func (u user) claims(t *testing.T, with change) []byte {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(u.token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	maps.Copy(claims, with)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	changed, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// sign returns a JWS; an empty typ means none.
func sign(t *testing.T, claims []byte, typ string, alg jwa.SignatureAlgorithm, by any) string {
	t.Helper()
	header := jws.NewHeaders()
	if typ != "" {
		if err := header.Set("typ", typ); err != nil {
			t.Fatal(err)
		}
	}
	token, err := jws.Sign(claims, jws.WithKey(alg, by, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// wantRefusal sends a handshake.
func wantRefusal(t *testing.T, header http.Header, status int, reason string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
	} {
		r.Header.Set(name, value)
	}
	answer, err := insecure.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var problem struct{ Reason string }
	if answer.StatusCode == http.StatusSwitchingProtocols {
		t.Fatal("it opens a socket")
	}
	if err := json.NewDecoder(answer.Body).Decode(&problem); answer.StatusCode != status || problem.Reason != reason {
		t.Errorf("%s %q, %v; want %d %s", answer.Status, problem.Reason, err, status, reason)
	}
}

func TestTokenIsRefused(t *testing.T) {
	t.Parallel()
	ann := signIn(t, origin)
	signed := func(typ string, with change) string { return sign(t, ann.claims(t, with), typ, jwa.EdDSA, key) }
	by := func(alg jwa.SignatureAlgorithm, key any) string {
		return sign(t, ann.claims(t, nil), "at+jwt", alg, key)
	}
	_, otherKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	parts := strings.Split(ann.token, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	for name, token := range map[string]string{
		"it has expired":                           signed("at+jwt", change{"iat": now - 120, "exp": now - 60}),
		"it has no exp":                            signed("at+jwt", change{"exp": nil}),
		"its exp is 0":                             signed("at+jwt", change{"exp": 0}),
		"its exp and iat are 0":                    signed("at+jwt", change{"exp": 0, "iat": 0}),
		"it is not valid yet":                      signed("at+jwt", change{"nbf": now + 3600}),
		"it is for another audience":               signed("at+jwt", change{"aud": "https://other.example"}),
		"it is for no audience":                    signed("at+jwt", change{"aud": nil}),
		"it is of another issuer":                  signed("at+jwt", change{"iss": "https://other.example"}),
		"it belongs to no session":                 signed("at+jwt", change{"sid": nil}),
		"it has no jti":                            signed("at+jwt", change{"jti": nil}),
		"its typ is JWT, as of an ID token":        signed("JWT", nil),
		"it has no typ":                            signed("", nil),
		"it is signed by another key":              by(jwa.EdDSA, otherKey),
		"it is signed by HS256 and the public key": by(jwa.HS256, []byte(public)),
		"its alg is none":                          b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
		"it has no signature":                      parts[0] + "." + parts[1] + ".",
		"its claims are changed":                   parts[0] + "." + b64(ann.claims(t, change{"sub": "bob"})) + "." + parts[2],
		"it is in the JSON serialization": fmt.Sprintf(
			`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2]),
		"it is claims only": string(ann.claims(t, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, http.Header{"Authorization": {"Bearer " + token}}, 401, "credential_invalid")
		})
	}
}

func TestHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	ann := signIn(t, origin)
	for _, tt := range []struct {
		name   string
		header http.Header
		status int
		reason string
	}{
		{
			name:   "a page of another origin has the cookie",
			header: http.Header{"Cookie": {ann.cookie}, "Origin": {"https://evil.example"}},
			status: 403, reason: "origin_not_allowed",
		},
		{
			name:   "a page of another origin has the token",
			header: http.Header{"Authorization": {"Bearer " + ann.token}, "Origin": {"https://evil.example"}},
			status: 403, reason: "origin_not_allowed",
		},
		{
			name:   "the cookie comes without an Origin",
			header: http.Header{"Cookie": {ann.cookie}},
			status: 403, reason: "origin_missing",
		},
		{
			name:   "cookie and token come together",
			header: http.Header{"Cookie": {ann.cookie}, "Authorization": {"Bearer " + ann.token}, "Origin": {origin}},
			status: 400, reason: "multiple_credentials",
		},
		{
			name:   "the token comes twice",
			header: http.Header{"Authorization": {"Bearer " + ann.token, "Bearer " + ann.token}},
			status: 401, reason: "credential_invalid",
		},
		{
			name:   "there is no credential",
			header: http.Header{},
			status: 401, reason: "no_credential",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantRefusal(t, tt.header, tt.status, tt.reason)
		})
	}
}

func TestForeignPageCannotSignOut(t *testing.T) {
	t.Parallel()
	ann := signIn(t, origin)
	answer := post(t, origin+"/logout", http.Header{"Cookie": {ann.cookie}, "Origin": {"https://evil.example"}})
	if answer.StatusCode != 403 {
		t.Errorf("POST /logout: %s; want 403", answer.Status)
	}
	open(t, origin, ann.byCookie())
}
