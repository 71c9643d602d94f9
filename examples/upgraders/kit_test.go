package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// world is the site on a real server, and the store of its revocations.
type world struct {
	*site
	*httptest.Server
	t *testing.T
}

// newWorld serves the site on "plain", "TLS" or "HTTP/2". Routes may be bound until it is
// used; wrap stands outside all of its layers.
func newWorld(t *testing.T, kind string, sessions session.Config, registry live.Config, bind func(*site)) *world {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	scheme := "https"
	if kind == "plain" {
		scheme = "http"
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	sessions.Log, registry.Log = quiet, quiet
	sessions.DangerouslyAllowLocalHTTP = kind == "plain"
	s, err := newSite(scheme+"://"+server.Listener.Addr().String(), sessions, registry, quiet)
	if err != nil {
		t.Fatal(err)
	}
	bind(s)
	server.Config.Handler = s
	switch kind {
	case "plain":
		server.Start()
	case "HTTP/2":
		server.EnableHTTP2 = true
		server.StartTLS()
	default:
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	return &world{site: s, Server: server, t: t}
}

// login signs a user in, and returns the value of the header Cookie.
func (w *world) login(user string) string {
	w.t.Helper()
	resp := w.post("/login?user="+user, "")
	var pairs []string
	for _, c := range resp.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

func (w *world) logout(cookie string) {
	w.t.Helper()
	w.post("/logout", cookie)
}

func (w *world) post(path, cookie string) *http.Response {
	w.t.Helper()
	r, _ := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.URL+path, nil)
	r.Header.Set("Origin", w.URL)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	resp, err := w.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %s", path, resp.Status)
	}
	return resp
}

// settled waits until the user has nothing open.
func (w *world) settled(user string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); len(w.registry.List("session", user)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Errorf("still open: %v", w.registry.List("session", user))
			return
		}
	}
}
