package ws_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

func TestEchoOverTLS(t *testing.T) {
	g := registry(t, live.Config{})
	srv := httptest.NewTLSServer(handler(t, ws.Config{Live: g}))
	defer srv.Close()
	c, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{
		HTTPClient: srv.Client(),
		HTTPHeader: http.Header{"Origin": {"https://app.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		if err := c.Write(t.Context(), websocket.MessageBinary, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		_, p, err := c.Read(t.Context())
		if err != nil || len(p) != n {
			t.Fatal(n, len(p), err)
		}
	}
	if err := c.Close(1000, "bye"); err != nil {
		t.Fatal(err)
	}
	shutdown(t.Context(), t, g)
}
