package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSignInFollowsNoRedirect(t *testing.T) {
	var body []byte
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL+"/login", http.StatusTemporaryRedirect))
	defer s.Close()
	if _, err := signIn(context.Background(), options{origin: s.URL, user: "alice"}, "hunter2"); err == nil ||
		strings.Contains(string(body), "hunter2") {
		t.Errorf("signIn: %v; the other host got %q", err, body)
	}
}

func TestSignInDoesNotShowTheServersText(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 418 \x1b]0;owned\x07\r\nContent-Length: 0\r\n\r\n")
		_ = c.Close()
	}))
	defer s.Close()
	if _, err := signIn(context.Background(), options{origin: s.URL, user: "alice"}, "p"); err == nil ||
		strings.ContainsAny(err.Error(), "\x1b\x07") {
		t.Errorf("signIn: %q", err)
	}
}
