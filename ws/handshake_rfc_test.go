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
