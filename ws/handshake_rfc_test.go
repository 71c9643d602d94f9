package ws_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// Openings by RFC 6455 §4.2.1, good and bad. An empty reason is an answer of net/http itself.
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
	{
		"RFC 9110 §5.6.3: spaces around a value", edited("Sec-WebSocket-Key:  \t dGhlIHNhbXBsZSBub25jZQ== \t", "Upgrade:\twebsocket "),
		101, "",
	},
	{"§4.2.1: header names in other letter case", strings.Replace(edited(), "Sec-WebSocket-Key", "SEC-websocket-kEY", 1), 101, ""},
	{"§4.2.1: an absolute request target", edited("GET https://app.example/ws HTTP/1.1"), 101, ""},
	{"RFC 9110 §8.6: Content-Length: 0 is no body", edited("Content-Length: 0"), 101, ""},
	{
		"§4.1 (11): unknown extensions are not answered", edited("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
		101, "",
	},
	{
		"§4.1 (7): the key of the RFC's example, whose last bits are not zero", edited("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="),
		101, "",
	},
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
	{
		"§4.2.1 (5): two keys in a line", edited("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400,
		"bad_handshake",
	},
	{"§4.2.1 (5): a key of 15 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400, "bad_handshake"},
	{"§4.2.1 (5): a key of 17 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), 400, "bad_handshake"},
	{"§4.2.1 (5): a key of 18 bytes", edited("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"), 400, "bad_handshake"},
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
	{"RFC 9112 §6.1: Content-Length and Transfer-Encoding", edited("Content-Length: 5",
		"+Transfer-Encoding: chunked") + "0\r\n\r\n", 400, "bad_handshake"},
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
			if refused := tt.reason != "" && tt.reason != "upgrade_required"; refused && !res.Close {
				t.Errorf("the connection of a refused handshake goes on: Connection %q", res.Header["Connection"])
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
				if got := res.Header.Get("Upgrade"); got != "websocket" { // RFC 9110 §15.5.22
					t.Errorf("Upgrade %q", got)
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
