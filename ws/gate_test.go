package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/securews/securews/middleware"
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

func handler(t testing.TB, cfg ws.Config) *ws.Handler {
	t.Helper()
	if cfg.Origins == nil {
		cfg.Origins = origins(t, wstest.URL)
	}
	if cfg.Auth == nil {
		cfg.Auth = auth(t, middleware.Anonymous())
	}
	if cfg.Serve == nil {
		cfg.Serve = echo
	}
	if cfg.Log == nil {
		cfg.Log = new(logs).logger()
	}
	h, err := ws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

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

func TestOpenings(t *testing.T) {
	srv := wstest.Start(t, quiet(handler(t, ws.Config{})))
	for _, tt := range openings {
		t.Run(tt.sentence, func(t *testing.T) {
			res, body := answer(t, secure(t, srv), tt.request)
			if tt.reason == "" {
				if res.StatusCode != tt.status {
					t.Errorf("answered %d %s, want %d", res.StatusCode, body, tt.status)
				}
			} else {
				wantRefusal(t, res, body, tt.status, tt.reason)
			}
			switch tt.reason {
			case "upgrade_required":
				if res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Connection") != "Upgrade" { // RFC 9110 §15.5.22, §7.8
					t.Errorf("Upgrade %q, Connection %q", res.Header.Get("Upgrade"), res.Header.Get("Connection"))
				}
			case "websocket_version":
				if got := res.Header.Get("Sec-WebSocket-Version"); got != "13" { // RFC 6455 §4.4
					t.Errorf("Sec-WebSocket-Version %q", got)
				}
			case "method_not_allowed":
				if got := res.Header.Get("Allow"); got != "GET" { // RFC 9110 §15.5.6
					t.Errorf("Allow %q", got)
				}
			}
		})
	}
}

// RFC 6455 §4.2.2 (5).
func TestTheUpgradeIsThatOfTheRFC(t *testing.T) {
	srv := wstest.Start(t, quiet(handler(t, ws.Config{Subprotocols: []string{"chat"}})))
	res, _ := answer(t, secure(t, srv), edited("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: permessage-deflate"))
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", // §1.3
		"Sec-Websocket-Protocol": "chat",
	} {
		if got := res.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := res.Header["Sec-Websocket-Extensions"]; got != nil { // W3: compression is off
		t.Errorf("extensions %q", got)
	}
	if id := res.Header["Securews-Connection"]; len(id) != 1 || len(id[0]) < 26 {
		t.Errorf("Securews-Connection: %q, want 128 bits", id)
	}
}

// RFC 6455 §4.2.2 (5.5), §11.3.4; browsers fail a connection for which they offered
// protocols and none was selected, or one in another letter case.
func TestSubprotocols(t *testing.T) {
	srv := wstest.Start(t, quiet(handler(t, ws.Config{Subprotocols: []string{"chat.v2", "chat.v1"}})))
	var many []string
	for i := range 64 {
		many = append(many, fmt.Sprint("p", i))
	}
	tests := []struct {
		sentence string
		offer    []string // lines
		selected string
		reason   string
	}{
		{"none offered, none selected", nil, "", ""},
		{"the one offered", []string{"chat.v1"}, "chat.v1", ""},
		{"the first of the client's", []string{"chat.v1, chat.v2"}, "chat.v1", ""},
		{"the first of the client's that is spoken", []string{"other, chat.v2,chat.v1"}, "chat.v2", ""},
		{"over several lines, §11.3.4", []string{"other", "chat.v1", "chat.v2"}, "chat.v1", ""},
		{"beside a token that travels as a protocol", []string{"base64url.bearer.authorization.securews.YWJj, chat.v1"}, "chat.v1", ""},
		{"tabs and spaces", []string{"\tchat.v1 ,  chat.v2"}, "chat.v1", ""},
		{"64 of them", []string{strings.Join(many[:63], ",") + ",chat.v1"}, "chat.v1", ""},
		{"another letter case", []string{"Chat.V1"}, "", "subprotocol"},
		{"none that is spoken", []string{"other, another"}, "", "subprotocol"},
		{"one that begins like it", []string{"chat.v"}, "", "subprotocol"},
		{"twice the same, §4.1 (10)", []string{"chat.v1, chat.v1"}, "", "bad_handshake"},
		{"twice the same over two lines", []string{"chat.v1", "chat.v1"}, "", "bad_handshake"},
		{"twice the same unknown", []string{"chat.v1, other, other"}, "", "bad_handshake"},
		{"a hole in the list", []string{"chat.v1,,chat.v2"}, "", "bad_handshake"},
		{"a comma at the end", []string{"chat.v1,"}, "", "bad_handshake"},
		{"a quoted string", []string{`"chat.v1"`}, "", "bad_handshake"},
		{"a slash", []string{"chat.v1, a/b"}, "", "bad_handshake"},
		{"an equals sign", []string{"chat.v1, a=b"}, "", "bad_handshake"},
		{"a space inside", []string{"chat.v1 chat.v2"}, "", "bad_handshake"},
		{"letters beyond ASCII", []string{"chat.v1, ünicode"}, "", "bad_handshake"},
		{"65 of them", []string{strings.Join(many, ",") + ",chat.v1"}, "", "bad_handshake"},
		{"a million bytes of them: no work that grows with their square (ws CVE-2021-32640)", []string{hugeOffer()}, "", "bad_handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			var edits []string
			for _, line := range tt.offer {
				edits = append(edits, "+Sec-WebSocket-Protocol:"+line)
			}
			res, body := answer(t, secure(t, srv), edited(edits...))
			if tt.reason != "" {
				wantRefusal(t, res, body, 400, tt.reason)
				return
			}
			var want []string
			if tt.selected != "" {
				want = []string{tt.selected}
			}
			if got := res.Header["Sec-Websocket-Protocol"]; res.StatusCode != 101 || !slices.Equal(got, want) {
				t.Errorf("answered %d with %q, want 101 with %q", res.StatusCode, got, want)
			}
		})
	}
}

// hugeOffer is what fits below net/http's limit for headers of 1 MiB.
func hugeOffer() string {
	var b strings.Builder
	for i := 0; b.Len() < 1_000_000; i++ {
		fmt.Fprintf(&b, "%x,", i)
	}
	return b.String() + "chat.v1"
}

// Cheapest and least revealing first: whoever fails an earlier check learns nothing
// of the later ones and costs them nothing.
func TestOrderOfChecks(t *testing.T) {
	hosts, err := middleware.NewHostPolicy("app.example")
	if err != nil {
		t.Fatal(err)
	}
	full := make(chan struct{})
	tests := []struct {
		sentence string
		request  string
		status   int
		reason   string
	}{
		{"a malformed handshake before a bad host", edited("Sec-WebSocket-Key: x", "Host: evil.example", "Origin: https://evil.example"), 400, "bad_handshake"},
		{"a bad host before a bad origin", edited("Host: evil.example", "Origin: https://evil.example"), 421, "host_not_allowed"},
		{"a bad origin before capacity and credential", edited("Origin: https://evil.example"), 403, "origin_not_allowed"},
		{"a bad subprotocol before the credential", edited("Sec-WebSocket-Protocol: other"), 400, "subprotocol"},
		{"capacity before the credential", edited(), 503, "overloaded"},
	}
	asked := make(chan string, 100)
	served := make(chan struct{})
	srv := wstest.Start(t, quiet(handler(t, ws.Config{
		Hosts:        hosts,
		Subprotocols: []string{"chat"},
		Limits:       ws.Limits{Connections: 1},
		Serve:        func(context.Context, *ws.Conn) error { close(served); <-full; return nil },
		Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			asked <- "Authenticate"
			return middleware.Principal{Subject: "ann"}, nil
		})),
		Authorize: func(*http.Request, middleware.Principal) error { asked <- "Authorize"; return nil },
	})))
	if res, body := answer(t, secure(t, srv), edited()); res.StatusCode != 101 {
		t.Fatalf("answered %d %s", res.StatusCode, body)
	}
	<-served
	defer close(full)
	if a, b := <-asked, <-asked; a != "Authenticate" || b != "Authorize" {
		t.Errorf("asked %s, then %s", a, b)
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			res, body := answer(t, secure(t, srv), tt.request)
			wantRefusal(t, res, body, tt.status, tt.reason)
			if tt.status == 503 && res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if len(asked) > 0 {
				t.Errorf("%s was asked", <-asked)
			}
		})
	}
}

// ASVS 4.4.1, 12.2.1; OWASP W1.
func TestPlaintextIsRefused(t *testing.T) {
	behind, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"127.0.0.1", "::1"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sentence string
		cfg      ws.Config
		edits    []string
		status   int
	}{
		{"in the clear", ws.Config{}, nil, 403},
		{"in the clear, whatever the client says of it", ws.Config{}, []string{"X-Forwarded-Proto: https", "Forwarded: proto=https", "X-Forwarded-Ssl: on"}, 403},
		{"in the clear, by a proxy that is not trusted", ws.Config{Proxies: elsewhere}, []string{"X-Forwarded-Proto: https"}, 403},
		{"in the clear, by a trusted proxy that says nothing", ws.Config{Proxies: behind}, nil, 403},
		{"in the clear, by a trusted proxy that says http", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: http"}, 403},
		{"https, by a trusted proxy", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: https"}, 101},
		{"wss, by a trusted proxy", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: wss"}, 101},
		{"in the clear, where that is named", ws.Config{DangerouslyAllowPlaintext: true}, nil, 101},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			srv := httptest.NewServer(handler(t, tt.cfg))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			res, body := answer(t, conn, edited(tt.edits...))
			if tt.status == 101 && res.StatusCode != 101 {
				t.Errorf("answered %d %s, want 101", res.StatusCode, body)
			}
			if tt.status != 101 {
				wantRefusal(t, res, body, tt.status, "tls_required")
				if res.Header.Get("Location") != "" { // ASVS 4.1.2
					t.Error("redirected")
				}
			}
		})
	}
}

func TestPlaintextIsRefusedBeforeAnythingElseIsSaid(t *testing.T) {
	srv := httptest.NewServer(handler(t, ws.Config{}))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	wantRefusal(t, res, string(body), 403, "tls_required")
}

// RFC 9113 §8.2.2: an answer over HTTP/2 with Upgrade or Connection is malformed,
// and clients reset the stream.
func TestHTTP2(t *testing.T) {
	srv := wstest.Start(t, quiet(handler(t, ws.Config{})))
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest("GET", wstest.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", wstest.URL)
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.ProtoMajor != 2 {
		t.Fatalf("spoke %s", res.Proto)
	}
	wantRefusal(t, res, string(body), 426, "upgrade_required")
	for _, name := range []string{"Upgrade", "Connection"} {
		if got := res.Header[name]; got != nil {
			t.Errorf("%s: %q over HTTP/2", name, got)
		}
	}
}

// RFC 8441 §4: answered clearly, whatever else the request says.
func TestExtendedConnectIsAnswered501(t *testing.T) {
	r := httptest.NewRequest("CONNECT", "https://app.example/ws", nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.Header = http.Header{":protocol": {"websocket"}, "Origin": {wstest.URL}, "Sec-Websocket-Version": {"13"}}
	w := httptest.NewRecorder()
	handler(t, ws.Config{}).ServeHTTP(w, r)
	wantRefusal(t, w.Result(), w.Body.String(), 501, "extended_connect")
}

// plainNode serves in memory and in the clear, where a handshake costs little.
func plainNode(t *testing.T, cfg ws.Config) (*ws.Handler, *wstest.Listener) {
	t.Helper()
	cfg.DangerouslyAllowPlaintext = true
	h := handler(t, cfg)
	return h, servePlain(t, h)
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

// Whichever way a handshake or a connection ends, its place is free
// again, and so is its principal's share.
func TestPlaceIsFreeAgainAfterEveryEnding(t *testing.T) {
	good := func(r *http.Request) (middleware.Principal, error) {
		return middleware.Principal{Issuer: "test", Subject: "ann", SessionHandle: "s", TokenHandle: "t"}, nil
	}
	bad := func(r *http.Request) bool { return r == nil || r.Header.Get("X-Bad") != "" }
	endings := []struct {
		sentence string
		cfg      func(*ws.Config)
		wrap     func(http.Handler) http.Handler
		status   int // of the bad one; 0: the connection is closed without an answer
	}{
		{"a malformed handshake", func(c *ws.Config) { c.Subprotocols = []string{"x"} }, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					r.Header.Set("Sec-WebSocket-Protocol", "y")
				}
				h.ServeHTTP(w, r)
			})
		}, 400},
		{"a refused credential", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					return middleware.Principal{}, &middleware.Refusal{Status: 401, Reason: middleware.ReasonCredentialInvalid}
				}
				return good(r)
			}))
		}, nil, 401},
		{"an authenticator that fails", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					return middleware.Principal{}, errors.New("dial tcp 10.0.0.7: connection refused")
				}
				return good(r)
			}))
		}, nil, 500},
		{"an authenticator that panics", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					panic("secret")
				}
				return good(r)
			}))
		}, nil, 0},
		{"a credential that has ended", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				p, err := good(r)
				if bad(r) {
					p.Expires = time.Now()
				}
				return p, err
			}))
		}, nil, 401},
		{"Authorize says no", func(c *ws.Config) {
			c.Authorize = func(r *http.Request, _ middleware.Principal) error {
				if bad(r) {
					return errors.New("not a member of room 7")
				}
				return nil
			}
		}, nil, 403},
		{"Authorize panics", func(c *ws.Config) {
			c.Authorize = func(r *http.Request, _ middleware.Principal) error {
				if bad(r) {
					panic("secret")
				}
				return nil
			}
		}, nil, 0},
		{"revocations that cannot be asked", func(c *ws.Config) { c.Revocations = &fickle{err: errors.New("store: i/o timeout")} }, nil, 503},
		{"revocations that panic", func(c *ws.Config) { c.Revocations = &fickle{panics: true} }, nil, 0},
		{"a revoked session", func(c *ws.Config) { c.Revocations = &fickle{} }, nil, 401},
		{"a hidden Hijacker", nil, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					w = hiding{w}
				}
				h.ServeHTTP(w, r)
			})
		}, 500},
		{"a Hijack that fails", nil, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					w = failing{w}
				}
				h.ServeHTTP(w, r)
			})
		}, 500},
		{"Serve that returns", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { return nil } }, nil, 101},
		{"Serve that fails", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { return errors.New("x") } }, nil, 101},
		{"Serve that panics", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { panic("secret") } }, nil, 101},
		{"a client that leaves without a word", nil, nil, 101},
	}
	for _, tt := range endings {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := &logs{}
				cfg := ws.Config{Auth: auth(t, admit(good)), Limits: ws.Limits{Connections: 1, PerPrincipal: 1}, Log: logs.logger(), DangerouslyAllowPlaintext: true}
				if tt.cfg != nil {
					tt.cfg(&cfg)
				}
				if f, ok := cfg.Revocations.(*fickle); ok {
					f.Revocations = middleware.NewRevocations()
					cfg.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
						f.bad = bad(r)
						return good(r)
					}))
				}
				h := handler(t, cfg)
				chain := http.Handler(h)
				if tt.wrap != nil {
					chain = tt.wrap(h)
				}
				l := servePlain(t, chain)
				var protocol []string
				if len(cfg.Subprotocols) > 0 {
					protocol = []string{"Sec-WebSocket-Protocol: x"}
				}
				for i := range 3 {
					conn, res := open(t, l, append(protocol, "X-Bad: yes")...)
					if res.StatusCode != tt.status || tt.status != 101 && res.Header["Sec-Websocket-Accept"] != nil {
						t.Errorf("attempt %d: answered %d %s %v, want %d", i, res.StatusCode, res.Status, res.Header, tt.status)
					}
					_ = conn.Close()
					synctest.Wait()
				}
				for range 3 {
					conn, res := open(t, l, protocol...)
					if res.StatusCode != 101 {
						t.Fatalf("afterwards answered %d, want 101", res.StatusCode)
					}
					_ = conn.Close()
					synctest.Wait()
				}
				if err := h.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				if strings.Contains(logs.String(), "secret") {
					t.Errorf("a panic's value is logged:\n%s", logs)
				}
			})
		})
	}
}

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

// Capacity returns after thousands of them.
func TestCapacityReturnsAfterThousandsOfEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := plainNode(t, ws.Config{Limits: ws.Limits{Connections: 1}})
		for i := range 2000 {
			conn, res := open(t, l)
			if res.StatusCode != 101 {
				t.Fatalf("connection %d is answered %d", i, res.StatusCode)
			}
			if i%4 == 0 { // in good order; else: bare, a part of a frame, a reset
				_, _ = conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8})
			} else if i%4 == 1 {
				_, _ = conn.Write([]byte{0x81, 0xFE, 1})
			}
			_ = conn.Close()
			synctest.Wait()
			conn, res = open(t, l, "Sec-WebSocket-Key: x")
			if res.StatusCode != 400 {
				t.Fatalf("bad handshake %d is answered %d", i, res.StatusCode)
			}
			_ = conn.Close()
		}
		if err := h.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// OWASP W18.
func TestCapsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byHeader := admit(func(r *http.Request) (middleware.Principal, error) {
			if r.Header.Get("X-User") == "" {
				return middleware.Principal{}, middleware.ErrNoCredential
			}
			return middleware.Principal{Issuer: r.Header.Get("X-Issuer"), Subject: r.Header.Get("X-User")}, nil
		})
		_, l := plainNode(t, ws.Config{Auth: auth(t, byHeader, middleware.Anonymous()), Limits: ws.Limits{Connections: 8, PerPrincipal: 2}})
		steps := []struct {
			sentence string
			edits    []string
			status   int
			reason   string
		}{
			{"ann's first", []string{"X-User: ann", "X-Issuer: a"}, 101, ""},
			{"ann's second", []string{"X-User: ann", "X-Issuer: a"}, 101, ""},
			{"ann's third is one too many", []string{"X-User: ann", "X-Issuer: a"}, 429, "too_many_connections"},
			{"ann of another issuer is somebody else", []string{"X-User: ann", "X-Issuer: b"}, 101, ""},
			{"bob has a share of his own", []string{"X-User: bob", "X-Issuer: a"}, 101, ""},
			{"the anonymous", nil, 101, ""},
			{"are nobody in particular", nil, 101, ""},
			{"and have no share to use up", nil, 101, ""},
			{"ann is still at her share", []string{"X-User: ann", "X-Issuer: a"}, 429, "too_many_connections"},
			{"the eighth in all", nil, 101, ""},
			{"the ninth in all", nil, 503, "overloaded"},
			{"the ninth in all, with a name", []string{"X-User: eve"}, 503, "overloaded"},
		}
		var conns []net.Conn
		for _, step := range steps {
			conn, res := open(t, l, step.edits...)
			if res.StatusCode != step.status {
				t.Errorf("%s: answered %d, want %d", step.sentence, res.StatusCode, step.status)
			}
			if step.status != 101 {
				body, _ := io.ReadAll(res.Body)
				wantRefusal(t, res, string(body), step.status, step.reason)
				if res.Header.Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", step.sentence)
				}
			}
			conns = append(conns, conn)
		}
		_ = conns[0].Close()
		synctest.Wait()
		if _, res := open(t, l, "X-User: ann", "X-Issuer: a"); res.StatusCode != 101 {
			t.Errorf("after her first has closed, ann is answered %d", res.StatusCode)
		}
	})
}

// A wrapper that hides the connection is named where the operator reads it, and
// nowhere else.
func TestWrapperThatHidesHijackIsNamedInTheLog(t *testing.T) {
	tests := []struct {
		sentence string
		wrap     func(http.Handler) http.Handler
		name     string
	}{
		{"a wrapper that embeds the interface", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(hiding{w}, r) })
		}, "ws_test.hiding"},
		{"http.TimeoutHandler", func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }, "*http.timeoutWriter"},
		{"behind one that can be unwrapped", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(chimiddleware.NewWrapResponseWriter(hiding{w}, 1), r)
			})
		}, "ws_test.hiding"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			logs := &logs{}
			asked := false
			h := handler(t, ws.Config{Log: logs.logger(), Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
				asked = true
				return middleware.Principal{Subject: "ann"}, nil
			}))})
			res, body := answer(t, secure(t, wstest.Start(t, quiet(tt.wrap(h)))), edited())
			wantRefusal(t, res, body, 500, "internal")
			if s := logs.String(); !strings.Contains(s, tt.name+" hides http.Hijacker") {
				t.Errorf("the log does not name %s:\n%s", tt.name, s)
			}
			if asked {
				t.Error("a credential was looked at for nothing")
			}
		})
	}
}

// The routers and wrappers that people have in front.
func TestUpgradesBehind(t *testing.T) {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sentence string
		wrap     func(http.Handler) http.Handler
	}{
		{"nothing", func(h http.Handler) http.Handler { return h }},
		{"http.ServeMux", func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /ws", h)
			return mux
		}},
		{"chi with its middleware", func(h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(
				chimiddleware.RequestID, chimiddleware.Recoverer, chimiddleware.RequestSize(1<<20),
				chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0)}),
				chimiddleware.Compress(5), chimiddleware.Timeout(time.Minute), chimiddleware.NoCache,
			)
			r.Route("/", func(r chi.Router) { r.Handle("/ws", h) })
			return r
		}},
		{"our own layers", func(h http.Handler) http.Handler {
			return middleware.Chain(h, middleware.AccessLog(new(logs).logger()), headers.Handler, middleware.RequireTLS(nil), origins(t, wstest.URL).Handler)
		}},
		{"http.StripPrefix, MaxBytesHandler and AllowQuerySemicolons", func(h http.Handler) http.Handler {
			return http.StripPrefix("/ws", http.MaxBytesHandler(http.AllowQuerySemicolons(h), 1<<10))
		}},
		{"http.CrossOriginProtection", func(h http.Handler) http.Handler { return http.NewCrossOriginProtection().Handler(h) }},
		{"a wrapper with Unwrap", func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapped{w}, r) })
		}},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			srv := wstest.Start(t, quiet(tt.wrap(handler(t, ws.Config{}))))
			conn := secure(t, srv)
			defer conn.Close()
			wantEcho(t, conn, true)
		})
	}
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

// The upgrade passes net/http's own reverse proxy, both ways.
func TestUpgradesBehindAReverseProxy(t *testing.T) {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewServer(handler(t, ws.Config{Proxies: proxies}))
	defer backend.Close()
	target, _ := url.Parse(backend.URL)
	srv := wstest.Start(t, quiet(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}))
	conn := secure(t, srv)
	defer conn.Close()
	wantEcho(t, conn, false) // the proxy drops what is early, and no browser is
}

// ASVS 3.4.1: on every answer, the 101 and refusals too.
func TestOuterHeadersAreOnEveryAnswer(t *testing.T) {
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	srv := wstest.Start(t, quiet(headers.Handler(handler(t, ws.Config{}))))
	for request, status := range map[string]int{edited(): 101, edited("Origin: null"): 403, edited("Upgrade:"): 426} {
		res, _ := answer(t, secure(t, srv), request)
		if res.StatusCode != status {
			t.Errorf("answered %d, want %d", res.StatusCode, status)
		}
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=63072000; includeSubDomains",
			"X-Content-Type-Options":    "nosniff",
			"X-Frame-Options":           "DENY",
			"Referrer-Policy":           "same-origin",
		} {
			if got := res.Header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%d has %s: %q, want %q", status, name, got, want)
			}
		}
	}
}

// ASVS 16.5.1: the bodies tell the word, the log the cause.
func TestInternalsStayInTheLog(t *testing.T) {
	const internals = "pq: password authentication failed for user \"app\" at 10.0.0.7"
	boom := errors.New(internals)
	tests := []struct {
		sentence string
		cfg      ws.Config
		status   int
		reason   string
	}{
		{"of Auth", ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) { return middleware.Principal{}, boom }))}, 500, "internal"},
		{"of Auth, in a refusal", ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{}, &middleware.Refusal{Status: 503, Reason: middleware.ReasonUnavailable, Err: boom}
		}))}, 503, "unavailable"},
		{"of Authorize", ws.Config{Authorize: func(*http.Request, middleware.Principal) error { return boom }}, 403, "forbidden"},
		{"of Authorize, in a refusal of its own", ws.Config{Authorize: func(*http.Request, middleware.Principal) error {
			return fmt.Errorf("room: %w", &middleware.Refusal{Status: 404, Reason: "no_such_room", Err: boom})
		}}, 404, "no_such_room"},
		{"of Authorize, around a refusal that is nil", ws.Config{Authorize: func(*http.Request, middleware.Principal) error {
			var f *middleware.Refusal
			return fmt.Errorf("%w: %w", f, boom)
		}}, 403, "forbidden"},
		{"of Revocations", ws.Config{Revocations: &fickle{Revocations: middleware.NewRevocations(), bad: true, err: boom}}, 503, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			logs := &logs{}
			tt.cfg.Log = logs.logger()
			res, body := answer(t, secure(t, wstest.Start(t, quiet(handler(t, tt.cfg)))), edited())
			wantRefusal(t, res, body, tt.status, tt.reason)
			var problem map[string]any
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem["status"] != float64(tt.status) {
				t.Errorf("body %s: %v", body, err)
			}
			for name, values := range res.Header {
				if strings.Contains(fmt.Sprint(values), "10.0.0.7") {
					t.Errorf("%s: %q", name, values)
				}
			}
			if !strings.Contains(logs.String(), "10.0.0.7") || strings.Count(logs.String(), "\n") != 1 {
				t.Errorf("want one line with the cause:\n%s", logs)
			}
		})
	}
}
