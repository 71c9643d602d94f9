package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
)

// mcpUser tells the SDK which user a request comes from, so that its own sessions, which the
// header Mcp-Session-Id names, are open to that user alone.
var mcpUser = auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	p, ok := middleware.FromContext(ctx)
	if !ok {
		return nil, auth.ErrInvalidToken
	}
	return &auth.TokenInfo{UserID: p.Issuer + " " + p.Subject, Scopes: p.Scopes, Expiration: p.Expires}, nil
}, nil)

// tokens signs access tokens (RFC 9068).
type tokens struct {
	issuer string
	key    ed25519.PrivateKey
}

func (x tokens) keys() []byte {
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","alg":"EdDSA","use":"sig","x":%q}]}`,
		base64.RawURLEncoding.EncodeToString(x.key.Public().(ed25519.PublicKey)))
}

// sign returns a token of the subject, and its jti.
func (x tokens) sign(subject string) (token, id string) {
	id = rand.Text()
	claims, _ := json.Marshal(map[string]any{
		"iss": x.issuer, "aud": "mcp", "sub": subject, "client_id": "client", "jti": id,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	encode := base64.RawURLEncoding.EncodeToString
	token = encode([]byte(`{"typ":"at+jwt","alg":"EdDSA","kid":"1"}`)) + "." + encode(claims)
	return token + "." + encode(ed25519.Sign(x.key, []byte(token))), id
}

// An MCP server with access tokens: its clients send no Origin. A revoked token ends its
// streams, and the token of another user does not open the first user's MCP session.
func TestMCPEndsWithTheToken(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	issued := tokens{"https://id.example", key}
	revocations := middleware.NewRevocations()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	authenticator := must(bearer.New(bearer.Config{
		Issuer:   issued.issuer,
		Audience: []string{"mcp"}, Keys: issued.keys(), Revocations: revocations, Log: quiet,
	}))(t)
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}, AllowMissing: true}))(t)
	a := must(middleware.NewAuth(authenticator))(t)
	registry := must(live.New(live.Config{Log: quiet}))(t)
	x := newTool(t, false)
	server := httptest.NewTLSServer(middleware.Chain(x.handler(nil), origins.Handler, a.Handler, registry.Handler, mcpUser))
	defer server.Close()

	var took []time.Duration
	for range rounds {
		token, id := issued.sign("ann")
		c := call(t, x, server.URL, server.Client().Transport, http.Header{"Authorization": {"Bearer " + token}})

		another, _ := issued.sign("ben")
		if got := postTo(t, server, another, c.ID()); got != http.StatusForbidden {
			t.Errorf("ben's request in ann's MCP session: %d", got)
		}
		if got := postTo(t, server, token, c.ID()); got != http.StatusAccepted {
			t.Errorf("ann's request in her MCP session: %d", got)
		}

		began := time.Now()
		if err := revocations.Revoke(t.Context(), middleware.Revocation{TokenHandle: bearer.TokenHandle(issued.issuer, id)}); err != nil {
			t.Fatal(err)
		}
		took = append(took, c.lastEnd(t).Sub(began))
		if err := received(t, "the call", c.called); err == nil {
			t.Error("the call has returned no error")
		}
		if got := postTo(t, server, token, c.ID()); got != http.StatusUnauthorized {
			t.Errorf("ann's request with the revoked token: %d", got)
		}
	}
	wantWithin20ms(t, took)
}

// postTo sends a notification in an MCP session, and returns the status of the answer.
func postTo(t *testing.T, server *httptest.Server, token, session string) int {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost,
		server.URL, strings.NewReader(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`))
	r.Header = http.Header{
		"Authorization": {"Bearer " + token}, "Mcp-Session-Id": {session},
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// must returns a value that was made without an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
