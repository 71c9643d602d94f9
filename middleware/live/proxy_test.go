package live

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// A backend behind httputil.ReverseProxy, which knows nothing of the layer, reads the same
// close frame as the client.
func TestReverseProxyEndsBothSides(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries[:3] {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Config{})
			errs := make(chan error, 1)
			backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { errs <- lib.echo(true, rw, r) }))
			defer backend.Close()
			to, _ := url.Parse(backend.URL)
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
			s := serve(t, w.front(proxy), "TLS")
			c, resp := w.connect(s, "session", true)
			defer c.Close()
			if resp.Header.Get("X-Outer") == "" {
				t.Error("the header of an outer layer is not on the 101")
			}
			echoes(t, c, 70_000)
			w.signOut("session")
			wantClosed(t, c, 3000, "revoked")
			if err := within10s(t, "the backend's end", errs); lib.code(err) != 3000 {
				t.Errorf("the backend has read %v", err)
			}
			w.settled()
		})
	}
}

// Bytes that a client sends behind its handshake reach the handler.
func TestEarlyBytesReachTheHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoGorilla(false, rw, r) })), "plain")
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

// An upgrade to another protocol is cut, and its handler reads and writes the cause.
func TestOtherUpgradeIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	errs := make(chan error, 2)
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, brw, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = brw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nhello")
		_ = brw.Flush()
		_, err = io.Copy(io.Discard, conn)
		errs <- err
		_, err = conn.Write([]byte("late"))
		errs <- err
	})), "plain")
	conn := dialRaw(t, s)
	r := handshake("session")
	r.Host = "example.com"
	r.Header.Set("Upgrade", "tcp")
	_ = r.Write(conn)
	if _, err := readHead(conn); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	w.signOut("session")
	for _, what := range []string{"read", "write"} {
		if err := within10s(t, what, errs); !errors.Is(err, Revoked) {
			t.Errorf("%s: %v, want the cause", what, err)
		}
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the client reads on")
	}
	w.settled()
}

// A handler that returns while its connection lives, as those of gws do, stays bound until
// the connection is closed.
func TestConnectionOutlivesItsHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	conns := make(chan *gorilla.Conn, 1)
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		up := gorilla.Upgrader{}
		c, err := up.Upgrade(rw, r, nil)
		if err != nil {
			t.Error(err)
		}
		conns <- c
	})), "TLS")
	c, _ := w.connect(s, "session", false)
	defer c.Close()
	server := within10s(t, "the upgrade", conns)
	time.Sleep(20 * time.Millisecond)
	if n := w.open.Load(); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
	w.signOut("session")
	wantClosed(t, c, 3000, "revoked")
	if _, _, err := server.ReadMessage(); gorillaCode(err) != 3000 {
		t.Errorf("the handler's goroutine reads %v", err)
	}
	w.settled()
}
