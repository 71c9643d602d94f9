package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// socket is the client's end of a WebSocket, as a browser holds it.
type socket struct {
	*websocket.Conn
	upgrader
	t        *testing.T
	deflates bool
	received *atomic.Int64 // bytes from the network
}

// countingConn counts the bytes that come from the network.
type countingConn struct {
	net.Conn
	received *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// connect opens a socket with the session's cookie. It wants that permessage-deflate is
// negotiated if and only if that is offered, and that the 101 has the header of an outer layer.
func (w *world) connect(t *testing.T, to upgrader, cookie string, deflate bool) *socket {
	t.Helper()
	s := &socket{upgrader: to, t: t, deflates: deflate, received: new(atomic.Int64)}
	d := websocket.Dialer{
		EnableCompression: deflate, WriteBufferSize: 1 << 17,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the server of this test
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return countingConn{c, s.received}, err
		},
	}
	c, resp, err := d.DialContext(t.Context(), "ws"+w.URL[len("http"):]+to.path, http.Header{"Origin": {w.URL}, "Cookie": {cookie}})
	if err != nil {
		t.Fatal(to.name, err, resp)
	}
	t.Cleanup(func() { _ = c.Close() })
	s.Conn = c
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if negotiated := strings.HasPrefix(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"); negotiated != deflate {
		t.Errorf("%s: extensions %q", to.name, resp.Header["Sec-Websocket-Extensions"])
	}
	if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%s: the header of an outer layer on the 101 is %q", to.name, got)
	}
	if to.hello != "" {
		s.send(to.hello)
		_ = s.receive()
	}
	return s
}

func (s *socket) send(message string) {
	s.t.Helper()
	if err := s.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		s.t.Fatal(s.name, err)
	}
}

func (s *socket) receive() string {
	s.t.Helper()
	_, message, err := s.ReadMessage()
	if err != nil {
		s.t.Fatal(s.name, err)
	}
	return string(message)
}

// echoes wants a message of that size back, compressed on the network if and only if that
// has been negotiated.
func (s *socket) echoes(size int) {
	s.t.Helper()
	message := strings.Repeat("a", size)
	before := s.received.Load()
	if s.template == "" {
		s.send(message)
		if got := s.receive(); got != message {
			s.t.Fatalf("%s: %d B of %d came back", s.name, len(got), size)
		}
	} else {
		quoted, _ := json.Marshal(message)
		s.send(strings.ReplaceAll(s.template, "%s", string(quoted)))
		if got := s.receive(); !strings.Contains(got, string(quoted)) {
			s.t.Fatalf("%s: %.100s came back", s.name, got)
		}
	}
	const large = 10_000 // libraries send small messages as they are
	if n := s.received.Load() - before; size > large && n < int64(size) != s.deflates {
		s.t.Errorf("%s: %d B from the network for a message of %d B", s.name, n, size)
	}
}

// ends wants the close frame that ends the socket.
func (s *socket) ends(code int, reason string) {
	s.t.Helper()
	_, _, err := s.ReadMessage()
	if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != code || e.Text != reason {
		s.t.Errorf("%s: the client has read %v, want %d %s", s.name, err, code, reason)
	}
}
