package opening_test

import (
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/internal/opening"
)

// A malformed handshake is guarded as a handshake, too (RFC 6455 §4.2.1, RFC 9110 §7.8,
// RFC 8441 §4).
func TestIsHandshake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method string
		header       map[string][]string
		handshake    bool
		extended     bool
	}{
		{
			name: "a browser's", method: "GET", header: map[string][]string{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}},
			handshake: true,
		},
		{name: "in another letter case", method: "GET", header: map[string][]string{"Upgrade": {"WebSocket"}}, handshake: true},
		{name: "without Connection", method: "GET", header: map[string][]string{"Upgrade": {"websocket"}}, handshake: true},
		{name: "with another method", method: "POST", header: map[string][]string{"Upgrade": {"websocket"}}, handshake: true},
		{name: "among other protocols", method: "GET", header: map[string][]string{"Upgrade": {"h2c, websocket"}}, handshake: true},
		{name: "on a second line", method: "GET", header: map[string][]string{"Upgrade": {"h2c", "websocket"}}, handshake: true},
		{name: "with white space", method: "GET", header: map[string][]string{"Upgrade": {"h2c,\t websocket \t"}}, handshake: true},
		{
			name: "with white space outside RFC 9110 §5.6.3", method: "GET",
			header: map[string][]string{"Upgrade": {"h2c,\u00a0websocket\u2003"}}, handshake: true,
		},
		{name: "with a version", method: "GET", header: map[string][]string{"Upgrade": {"websocket/13"}}, handshake: true},
		{
			name: "an extended CONNECT", method: "CONNECT", header: map[string][]string{":protocol": {"websocket"}},
			handshake: true, extended: true,
		},
		{
			name: "an extended CONNECT for another protocol", method: "CONNECT",
			header: map[string][]string{":protocol": {"connect-udp"}}, handshake: true, extended: true,
		},
		{name: "a plain request", method: "GET"},
		{name: "Connection without Upgrade", method: "GET", header: map[string][]string{"Connection": {"Upgrade"}}},
		{name: "another protocol", method: "GET", header: map[string][]string{"Upgrade": {"h2c"}}},
		{name: "a longer name", method: "GET", header: map[string][]string{"Upgrade": {"websockets"}}},
		{name: "an empty value", method: "GET", header: map[string][]string{"Upgrade": {""}}},
		{name: "a plain CONNECT", method: "CONNECT"},
		{name: ":protocol with another method", method: "GET", header: map[string][]string{":protocol": {"websocket"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, "https://app.example/", nil)
			r.Header = tt.header
			if got := opening.IsHandshake(r); got != tt.handshake {
				t.Errorf("IsHandshake %v, want %v", got, tt.handshake)
			}
			if got := opening.IsExtendedConnect(r); got != tt.extended {
				t.Errorf("IsExtendedConnect %v, want %v", got, tt.extended)
			}
		})
	}
}
