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
		{"a browser's", "GET", map[string][]string{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, true, false},
		{"in another letter case", "GET", map[string][]string{"Upgrade": {"WebSocket"}}, true, false},
		{"without Connection", "GET", map[string][]string{"Upgrade": {"websocket"}}, true, false},
		{"with another method", "POST", map[string][]string{"Upgrade": {"websocket"}}, true, false},
		{"among other protocols", "GET", map[string][]string{"Upgrade": {"h2c, websocket"}}, true, false},
		{"on a second line", "GET", map[string][]string{"Upgrade": {"h2c", "websocket"}}, true, false},
		{"with white space", "GET", map[string][]string{"Upgrade": {"h2c,\t websocket \t"}}, true, false},
		{"with white space outside RFC 9110 §5.6.3", "GET", map[string][]string{"Upgrade": {"h2c,\u00a0websocket\u2003"}}, true, false},
		{"with a version", "GET", map[string][]string{"Upgrade": {"websocket/13"}}, true, false},
		{"an extended CONNECT", "CONNECT", map[string][]string{":protocol": {"websocket"}}, true, true},
		{"an extended CONNECT for another protocol", "CONNECT", map[string][]string{":protocol": {"connect-udp"}}, true, true},
		{"a plain request", "GET", nil, false, false},
		{"Connection without Upgrade", "GET", map[string][]string{"Connection": {"Upgrade"}}, false, false},
		{"another protocol", "GET", map[string][]string{"Upgrade": {"h2c"}}, false, false},
		{"a longer name", "GET", map[string][]string{"Upgrade": {"websockets"}}, false, false},
		{"an empty value", "GET", map[string][]string{"Upgrade": {""}}, false, false},
		{"a plain CONNECT", "CONNECT", nil, false, false},
		{":protocol with another method", "GET", map[string][]string{":protocol": {"websocket"}}, false, false},
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
