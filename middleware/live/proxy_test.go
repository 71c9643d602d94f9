package live

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// A backend behind httputil.ReverseProxy, which knows nothing of the layer, reads the same
// close frame as the client.
func TestReverseProxyEndsBothSides(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience}})
			errs := make(chan error, 1)
			backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { errs <- lib.echo(true, rw, r) }))
			defer backend.Close()
			to, _ := url.Parse(backend.URL)
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
			s := serve(t, w.front(proxy), "TLS")
			c, resp := w.connect(s, "session", true)
			defer c.CloseNow()
			if resp.Header.Get("X-Outer") == "" {
				t.Error("the header of an outer layer is not on the 101")
			}
			echoes(t, c, 70_000)
			w.signOut("session")
			wantClosed(t, c, 3000, "revoked")
			if err := received(t, "the backend's end", errs); lib.code(err) != 3000 {
				t.Errorf("the backend has read %v", err)
			}
			w.settled()
		})
	}
}

// Bytes that a client sends behind its handshake reach the handler.
func TestEarlyBytesReachTheHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{}) // the client answers no close frame: the grace ends the connection
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoByHand(false, rw, r) })), "plain")
	conn := dialRaw(t, s)
	head := new(bytes.Buffer)
	r := handshake("session")
	r.Host = "example.com"
	_ = r.Write(head)
	if _, err := conn.Write(append(head.Bytes(), buildFrame(0x81, []byte("early"), true)...)); err != nil {
		t.Fatal(err)
	}
	if _, err := readHead(conn); err != nil {
		t.Fatal(err)
	}
	if f, err := parseFrame(conn, false); string(f.payload) != "early" {
		t.Errorf("%q, %v", f.payload, err)
	}
	w.signOut("session")
	if frames, code, _, err := readEnding(conn); code != 3000 || frames != 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%d after %d frames, %v", code, frames, err)
	}
	w.settled()
}
