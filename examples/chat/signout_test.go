package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// opened is a socket, and the credential that opened it.
type opened struct {
	name string
	*websocket.Conn
}

// openAll opens a socket with each credential that a session leads to. It returns the header of
// its page, and that of a native client with a token of the session.
func (s *site) openAll(t *testing.T, cookie string) (open []opened, page, native http.Header) {
	t.Helper()
	page = http.Header{"Cookie": {cookie}, "Origin": {s.origin}}
	_, body := s.post(t, "/api/token", page.Clone())
	native = http.Header{"Authorization": {"Bearer " + field(t, body, "access_token")}}
	ticket := func(credential http.Header) []string {
		_, body := s.post(t, "/ticket", credential)
		return []string{subprotocol, field(t, body, "subprotocol")}
	}
	for _, tt := range []struct {
		name, path   string
		header       http.Header
		subprotocols []string
	}{
		{"the cookie", wsPath, page, nil},
		{"a token minted in the session", wsPath, native, nil},
		{"a ticket for the cookie", socketPath, http.Header{"Origin": {s.origin}}, ticket(page.Clone())},
		{"a ticket for the token", socketPath, nil, ticket(native.Clone())},
	} {
		c, _, err := websocket.Dial(t.Context(), "wss://"+s.host+tt.path, &websocket.DialOptions{
			HTTPClient: insecure(), HTTPHeader: tt.header, Subprotocols: tt.subprotocols,
		})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		if _, _, err := c.Read(t.Context()); err != nil { // the welcome
			t.Fatalf("%s: %v", tt.name, err)
		}
		open = append(open, opened{tt.name, c})
	}
	return open, page, native
}

func wantEnds(t *testing.T, open []opened, code websocket.StatusCode, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, c := range open {
		_, _, err := c.Read(ctx)
		var ended websocket.CloseError
		if !errors.As(err, &ended) || ended.Code != code || ended.Reason != reason {
			t.Errorf("%s: %v, want %d %s", c.name, err, code, reason)
		}
	}
}

// ASVS 7.4.1: a logout ends everything that was opened with the session, whichever
// credential opened it.
func TestSignOutEndsEverySocket(t *testing.T) {
	s := startSite(t, generous)
	open, page, native := s.openAll(t, s.cookie)
	if got := s.status(t, "/api/me", native); got != 200 {
		t.Fatalf("the token before the logout: %d", got)
	}
	if status, body := s.post(t, "/logout", page.Clone()); status != 204 {
		t.Fatalf("logout: %d %s", status, body)
	}
	wantEnds(t, open, 3000, "revoked")
	if got := s.status(t, "/api/me", native); got != 401 {
		t.Errorf("the token after the logout: %d, want 401", got)
	}
}

// field returns a string field of a JSON object.
func field(t *testing.T, body []byte, name string) string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	text, _ := object[name].(string)
	if text == "" {
		t.Fatalf("%s: no %s", body, name)
	}
	return text
}

// status returns the status of a GET.
func (s *site) status(t *testing.T, path string, fields http.Header) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = fields.Clone()
	answer, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
