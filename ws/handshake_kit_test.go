package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// opening is the handshake of RFC 6455 §1.3, line by line.
var opening = []string{
	"GET /ws HTTP/1.1",
	"Host: app.example",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Origin: https://app.example",
	"Sec-WebSocket-Version: 13",
}

// edited is the opening with each edit's line in the place of those of its name: ""
// behind the name drops them, "+" before it adds another line, and an edit with a
// version of HTTP is the request line.
func edited(edits ...string) string {
	lines := slices.Clone(opening)
	for _, edit := range edits {
		add := strings.HasPrefix(edit, "+")
		name, value, _ := strings.Cut(strings.TrimPrefix(edit, "+"), ":")
		if strings.Contains(edit, " HTTP/") {
			lines[0] = edit
			continue
		}
		if !add {
			lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+":") })
		}
		if value != "" {
			lines = append(lines, name+":"+value)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// answer writes a request as it is and reads the answer and its body.
func answer(t testing.TB, conn net.Conn, request string) (*http.Response, string) {
	t.Helper()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // it may be refused before it is read
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}) // HEAD has no body
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if res.StatusCode == 101 {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// wantNoAnswer wants the connection closed without a byte.
func wantNoAnswer(t testing.TB, conn net.Conn, request string) {
	t.Helper()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }()
	if b, _ := io.ReadAll(conn); len(b) > 0 {
		t.Errorf("answered %q", b)
	}
}

// secure is a TLS connection to the server.
func secure(t testing.TB, srv *wstest.Server) net.Conn {
	t.Helper()
	raw, err := srv.Listener.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.ServerName, cfg.NextProtos = "app.example", []string{"http/1.1"}
	return tls.Client(raw, cfg)
}

// wantRefusal wants RFC 9457's body with the stable word and not one byte more.
func wantRefusal(t testing.TB, res *http.Response, body string, status int, reason string) {
	t.Helper()
	want := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"reason":%q}`, http.StatusText(status), status, reason)
	if res.StatusCode != status || body != want {
		t.Errorf("answered %d %s, want %s", res.StatusCode, body, want)
	}
	if got := res.Header.Get("Content-Type"); got != "application/problem+json; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	for _, name := range []string{"Sec-Websocket-Accept", "Securews-Connection", "Sec-Websocket-Protocol"} {
		if got := res.Header[name]; got != nil {
			t.Errorf("refused, with %s: %q", name, got)
		}
	}
}

// admit is an Authenticator in a function.
type admit func(r *http.Request) (middleware.Principal, error)

func (admit) Ambient() bool { return false }

func (a admit) Authenticate(r *http.Request) (middleware.Principal, error) { return a(r) }

func quiet(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
}

// What RFC 6455 §4.2.1 says of an opening, and what is none. An empty reason is an answer of net/http itself.
var openings = []struct {
	sentence string
	request  string
	status   int
	reason   string
}{
	{"the opening of §1.3 is answered 101", edited(), 101, ""},
	{"§4.2.1 (3): Upgrade in other letter case", edited("Upgrade: WebSocket"), 101, ""},
	{"§4.2.1 (4): Connection in other letter case", edited("Connection: uPGRADE"), 101, ""},
	{"§4.2.1 (4): Connection with other options, as Firefox sends it", edited("Connection: keep-alive, Upgrade"), 101, ""},
	{"§4.2.1 (4): Connection over two lines", edited("Connection: keep-alive", "+Connection: upgrade"), 101, ""},
	{"RFC 9110 §5.6.3: spaces around a value", edited("Sec-WebSocket-Key:  \t dGhlIHNhbXBsZSBub25jZQ== \t", "Upgrade:\twebsocket "), 101, ""},
	{"§4.2.1: header names in other letter case", strings.Replace(edited(), "Sec-WebSocket-Key", "SEC-websocket-kEY", 1), 101, ""},
	{"§4.2.1: an absolute request target", edited("GET https://app.example/ws HTTP/1.1"), 101, ""},
	{"RFC 9110 §8.6: Content-Length: 0 is no body", edited("Content-Length: 0"), 101, ""},
	{"§4.1 (11): unknown extensions are not answered", edited("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), 101, ""},
	{"an unknown HTTP/1.x", edited("GET /ws HTTP/1.2"), 101, ""},

	{"§4.2.1 (1): POST", edited("POST /ws HTTP/1.1", "Content-Length: 0"), 405, "method_not_allowed"},
	{"§4.2.1 (1): HEAD", edited("HEAD /ws HTTP/1.1"), 405, ""},
	{"§4.2.1 (1): get in small letters is another method", edited("get /ws HTTP/1.1"), 405, "method_not_allowed"},
	{"§4.2.1 (1): HTTP/1.0", edited("GET /ws HTTP/1.0"), 400, "bad_handshake"},
	{"§4.2.1 (1): HTTP/0.9", "GET /ws\r\n\r\n", 400, ""},
	{"§4.2.1 (1): HTTP/3.0 by its name", edited("GET /ws HTTP/3.0"), 505, ""},
	{"§4.2.1 (2): no Host", edited("Host:"), 400, ""},
	{"§4.2.1 (2): an empty Host", edited("Host: "), 400, "bad_handshake"},
	{"§4.2.1 (2): two Hosts", edited("+Host: app.example"), 400, ""},
	{"§4.2.1 (3): no Upgrade is a plain GET", edited("Upgrade:"), 426, "upgrade_required"},
	{"§4.2.1 (3): an Upgrade to something else", edited("Upgrade: h2c"), 426, "upgrade_required"},
	{"§4.2.1 (3): an Upgrade that begins like it", edited("Upgrade: websockets"), 426, "upgrade_required"},
	{"§4.2.1 (3): a version of it", edited("Upgrade: websocket/13"), 400, "bad_handshake"},
	{"§4.2.1 (3): one of several", edited("Upgrade: h2c, websocket"), 400, "bad_handshake"},
	{"§4.2.1 (3): two Upgrades", edited("+Upgrade: websocket"), 400, "bad_handshake"},
	{"§4.2.1 (3): two different Upgrades", edited("+Upgrade: h2c"), 400, "bad_handshake"},
	{"§4.2.1 (4): no Connection", edited("Connection:"), 400, "bad_handshake"},
	{"§4.2.1 (4): an empty Connection", edited("Connection: "), 400, "bad_handshake"},
	{"§4.2.1 (4): Connection: close", edited("Connection: close"), 400, "bad_handshake"},
	{"§4.2.1 (4): Connection: keep-alive", edited("Connection: keep-alive"), 400, "bad_handshake"},
	{"§4.2.1 (4): an option that begins like it", edited("Connection: upgraded, no-upgrade"), 400, "bad_handshake"},
	{"§4.2.1 (4): options without commas", edited("Connection: keep-alive Upgrade"), 400, "bad_handshake"},
	{"§4.2.1 (5): no key", edited("Sec-WebSocket-Key:"), 400, "bad_handshake"},
	{"§4.2.1 (5): an empty key", edited("Sec-WebSocket-Key: "), 400, "bad_handshake"},
	{"§11.3.1: two keys", edited("+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "bad_handshake"},
	{"§4.2.1 (5): two keys in a line", edited("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400, "bad_handshake"},
	{"§4.2.1 (5): a key of 15 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400, "bad_handshake"},
	{"§4.2.1 (5): a key of 17 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), 400, "bad_handshake"},
	{"§4.2.1 (5): a key of 18 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"), 400, "bad_handshake"},
	{"RFC 4648 §3.5: a key with bits behind its end", edited("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="), 400, "bad_handshake"},
	{"RFC 4648 §3.2: a key without padding", edited("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), 400, "bad_handshake"},
	{"RFC 4648 §3.3: a key with a space in it", edited("Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ=="), 400, "bad_handshake"},
	{"RFC 4648 §5: a key in the alphabet of URLs", edited("Sec-WebSocket-Key: -_-_-_-_-_-_-_-_-_-_-A=="), 400, "bad_handshake"},
	{"§4.2.1 (6): no version", edited("Sec-WebSocket-Version:"), 426, "websocket_version"},
	{"§4.2.1 (6): an empty version", edited("Sec-WebSocket-Version: "), 426, "websocket_version"},
	{"§4.4: version 8", edited("Sec-WebSocket-Version: 8"), 426, "websocket_version"},
	{"§4.4: version 14", edited("Sec-WebSocket-Version: 14"), 426, "websocket_version"},
	{"§4.4: versions 13 and 8", edited("Sec-WebSocket-Version: 13, 8"), 426, "websocket_version"},
	{"§4.1: version 013", edited("Sec-WebSocket-Version: 013"), 426, "websocket_version"},
	{"§11.3.5: two versions", edited("+Sec-WebSocket-Version: 13"), 426, "websocket_version"},
	{"§11.3.5: two different versions", edited("+Sec-WebSocket-Version: 8"), 426, "websocket_version"},
	{"§4.2.1: a body of Content-Length", edited("Content-Length: 5") + "hello", 400, "bad_handshake"},
	{"§4.2.1: a body in chunks", edited("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 400, "bad_handshake"},
	{"§4.2.1: an empty body in chunks", edited("Transfer-Encoding: chunked") + "0\r\n\r\n", 400, "bad_handshake"},
	{"RFC 9112 §6.1: Content-Length and Transfer-Encoding", edited("Content-Length: 5", "+Transfer-Encoding: chunked") + "0\r\n\r\n", 400, "bad_handshake"},
	{"RFC 9112 §6.3: two Content-Lengths", edited("Content-Length: 0", "+Content-Length: 5"), 400, ""},
	{"§4.2.1 (7): no Origin", edited("Origin:"), 403, "origin_missing"},
	{"§10.2: another origin", edited("Origin: https://evil.example"), 403, "origin_not_allowed"},
	{"§10.2: two Origins", edited("+Origin: https://app.example"), 403, "origin_malformed"},
	{"§4.2.1 (8): an empty list of protocols", edited("Sec-WebSocket-Protocol: "), 400, "bad_handshake"},
	{"§4.2.1 (8): protocols, none of which is spoken", edited("Sec-WebSocket-Protocol: chat"), 400, "subprotocol"},
	{"RFC 9112 §5: a space before the colon", edited("+Sec-WebSocket-Key : dGhlIHNhbXBsZSBub25jZQ=="), 400, ""},
	{"RFC 9112 §5.2: a folded line", edited("Sec-WebSocket-Key: dGhlIHNhbXBs\r\n ZSBub25jZQ=="), 400, "bad_handshake"},
	{"RFC 9110 §5.5: a NUL in a value", edited("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ\x00=="), 400, ""},
}

// plainNode serves in memory and in the clear, where a handshake costs little.
func plainNode(t *testing.T, of live.Config, cfg ws.Config) (*live.Registry, *wstest.Listener) {
	t.Helper()
	cfg.DangerouslyAllowPlaintext, cfg.Live = true, registry(t, of)
	return cfg.Live, servePlain(t, handler(t, cfg))
}

func servePlain(t *testing.T, h http.Handler) *wstest.Listener {
	t.Helper()
	l, srv := wstest.NewListener(), quiet(h)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		for _, c := range l.Conns() {
			_ = c.Close()
		}
		<-done
	})
	return l
}

func open(t *testing.T, l *wstest.Listener, edits ...string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := l.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, edited(edits...)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return conn, &http.Response{Status: err.Error()} // a panic: the connection closed
	}
	return conn, res
}

type hiding struct{ http.ResponseWriter }

// fickle answers for a bad request only.
type fickle struct {
	middleware.Revocations
	bad, panics bool
	err         error
}

func (f *fickle) Revoked(context.Context, middleware.Principal) (bool, error) {
	if f.bad && f.panics {
		panic("secret")
	}
	return f.bad, func() error {
		if f.bad {
			return f.err
		}
		return nil
	}()
}

// failing takes itself for a Hijacker.
type failing struct{ http.ResponseWriter }

func (failing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("hijack: proxy buffer of 10.0.0.7 in use")
}

type unwrapped struct{ w http.ResponseWriter }

func (u unwrapped) Header() http.Header         { return u.w.Header() }
func (u unwrapped) Write(p []byte) (int, error) { return u.w.Write(p) }
func (u unwrapped) WriteHeader(status int)      { u.w.WriteHeader(status) }
func (u unwrapped) Unwrap() http.ResponseWriter { return u.w }

// wantEcho opens and has two messages echoed, the first of them sent behind the
// opening, without waiting for the 101, where early.
func wantEcho(t *testing.T, conn net.Conn, early bool) {
	t.Helper()
	const hi = "\x81\x82\x00\x00\x00\x00hi"
	request, then := edited(), hi+hi
	if early {
		request, then = request+hi, hi
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("answered %v, %v", res, err)
	}
	if _, err := io.WriteString(conn, then); err != nil {
		t.Fatal(err)
	}
	echoed := make([]byte, 8)
	if _, err := io.ReadFull(r, echoed); err != nil || string(echoed) != "\x81\x02hi\x81\x02hi" {
		t.Errorf("echoed % x, %v", echoed, err)
	}
}
