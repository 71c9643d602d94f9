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

// answer writes a request unchanged and reads the answer and its body.
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

// plainNode serves in memory and in the clear, which makes handshakes cheap.
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
