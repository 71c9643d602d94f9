package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// The comment of echo, and the README: logout ends the sockets of the session with 3000 `revoked`,
// and its cookie opens no other. Another session goes on.
func TestLogoutEndsTheSocket(t *testing.T) {
	p := start(t, build(t))
	alice, bob := p.signIn(t, "alice"), p.signIn(t, "bob")
	socket, err := p.dial(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	other, err := p.dial(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	defer other.CloseNow()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.origin+"/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", p.origin)
	r.Header.Set("Cookie", alice)
	answer, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	_, _, err = socket.Read(t.Context())
	var e websocket.CloseError
	if answer.StatusCode != 200 || !errors.As(err, &e) || e.Code != 3000 || e.Reason != "revoked" {
		t.Errorf("logout: %s, and the socket ended with %v, want 200, and 3000 revoked", answer.Status, err)
	}
	if _, err := p.dial(t.Context(), alice); err == nil {
		t.Error("the cookie opens another socket")
	}
	if err := other.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Error(err)
	}
	if _, b, err := other.Read(t.Context()); err != nil || string(b) != "still here" {
		t.Errorf("the other session's socket: %q, %v", b, err)
	}
}
