package interop

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware/live"
)

// peer is a client without a library.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// dial opens a socket, with bytes that are sent together with the handshake.
func dial(t testing.TB, s *httptest.Server, early []byte) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if s.TLS != nil {
		cfg := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		cfg.ServerName = "example.com"
		conn = tls.Client(conn, cfg)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	request := strings.Replace(opening, "Origin: https://app.example", "Session: session", 1)
	_, err = conn.Write(append([]byte(request), early...))
	must(t, err)
	p := &peer{conn, bufio.NewReader(conn)}
	res, err := http.ReadResponse(p.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %v, %v", res, err)
	}
	return p
}

// masked is a frame of a client with the mask 0 (RFC 6455 §5.2).
func masked(first byte, payload []byte) []byte {
	b := []byte{first}
	if n := len(payload); n < 126 {
		b = append(b, 0x80|byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n)) //nolint:gosec // at most 64 KiB
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// Bytes that a client sends with its handshake reach the handler, though gorilla alone would
// refuse them.
func TestEarlyBytesReachGorilla(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Config{})
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoGorilla(false, rw, r) })), "plain")
	p := dial(t, s, masked(0x81, []byte("early")))
	frame := make([]byte, 7)
	if _, err := io.ReadFull(p.r, frame); string(frame) != "\x81\x05early" {
		t.Errorf("%q, %v", frame, err)
	}
	w.signOut("session")
	closing := make([]byte, 11)
	if _, err := io.ReadFull(p.r, closing); string(closing) != "\x88\x09\x0b\xb8revoked" {
		t.Errorf("%q, %v", closing, err)
	}
	if rest, _ := io.ReadAll(p.r); len(rest) > 0 { // the error may be a reset
		t.Errorf("after the close frame: %q", rest)
	}
	w.settled()
}
