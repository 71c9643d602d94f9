package ws_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// A connection tells its handshake's Origin (RFC 6454 §7) byte for byte, and "" where
// a native client sent none.
func TestConnOrigin(t *testing.T) {
	policy, err := middleware.NewOriginPolicy(middleware.OriginConfig{
		Allow: []string{"https://app.example", "https://other.example:8443"}, AllowMissing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	n := start(t, ws.Config{Origins: policy, Serve: func(_ context.Context, c *ws.Conn) error {
		seen <- c.Origin()
		return nil
	}})
	for _, origin := range []string{"https://app.example", "https://APP.example:443", "https://other.example:8443", ""} {
		h := http.Header{"X-User": {"alice"}}
		if origin != "" {
			h.Set("Origin", origin)
		}
		c, _, err := n.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: h})
		if err != nil {
			t.Fatalf("%q: %v", origin, err)
		}
		if got := <-seen; got != origin {
			t.Errorf("Origin() = %q, the handshake's was %q", got, origin)
		}
		_ = c.CloseNow()
	}
}
