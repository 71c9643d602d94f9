package ws_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

func origins(t testing.TB, allow ...string) *middleware.OriginPolicy {
	t.Helper()
	p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func auth(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

func TestEchoOverTLS(t *testing.T) {
	h, err := ws.New(ws.Config{Origins: origins(t, "https://app.example"), Auth: auth(t, middleware.Anonymous()), Serve: echo})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	defer srv.Close()
	c, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://app.example"}}})
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
	if err := h.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}
