package seal

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// The connections of ws and redial implement Messages, and so does a sealed Conn.
var (
	_ Messages = (*ws.Conn)(nil)
	_ Messages = (*redial.Conn)(nil)
	_ Messages = (*Conn)(nil)
)

// The reconnecting client seals every connection with new keys.
func TestRedial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := must(GenerateKey(XWing, day(30)))
		server := must(NewServer(Config{Keys: must(NewKeyring(k)), Audience: audience}))
		rounds := 0
		n := wstest.NewServer(t, must(ws.New(ws.Config{
			Origins:      must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})),
			Auth:         must(middleware.NewAuth(middleware.Anonymous())),
			Live:         must(live.New(live.Config{})),
			Subprotocols: server.Subprotocols("chat"),
			Log:          slog.New(slog.DiscardHandler),
			Serve: server.Serve(func(_ context.Context, c *Conn) error {
				typ, p, err := c.Read()
				if err != nil {
					return err
				}
				if err := c.Write(typ, p); err != nil {
					return err
				}
				if rounds++; rounds < 3 {
					return ws.ErrDraining // as in a restart: reconnect
				}
				return nil
			}),
		})))
		sealed := must(NewClient(ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat", Origin: wstest.URL}))
		client := must(redial.New(redial.Config{
			URL: "wss://app.example/", Origin: wstest.URL, Subprotocols: sealed.Subprotocols(), HTTPClient: n.Client(),
		}))
		ids := map[string]bool{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = client.Run(ctx, func(ctx context.Context, raw *redial.Conn) error {
			c, err := sealed.Connect(ctx, raw)
			if err != nil {
				return err
			}
			if c.ID() != raw.ID() || ids[c.ID()] {
				t.Errorf("id %q sealed, %q in the 101", c.ID(), raw.ID())
			}
			ids[c.ID()] = true
			if err := c.Write(websocket.MessageText, []byte("hello")); err != nil {
				return err
			}
			if _, p, err := c.Read(); err != nil || string(p) != "hello" {
				t.Errorf("%q, %v", p, err)
			}
			_, _, err = c.Read()
			var end *ws.CloseError
			if !errors.Is(err, io.EOF) || !errors.As(err, &end) {
				t.Errorf("the end is %v", err)
			}
			if len(ids) == 3 {
				cancel()
			}
			return err
		})
		if len(ids) != 3 {
			t.Errorf("%d connections, want 3", len(ids))
		}
	})
}

// broken is a connection that has died without having been closed.
type broken struct {
	hello  []byte
	closed int
}

func (b *broken) Read() (websocket.MessageType, []byte, error) {
	if b.hello == nil {
		return 0, nil, io.ErrClosedPipe
	}
	return websocket.MessageBinary, b.hello, nil
}

func (b *broken) Write(websocket.MessageType, []byte) error { return io.ErrClosedPipe }

func (b *broken) Close(websocket.StatusCode, string) error { b.closed++; return nil }

func (b *broken) Subprotocol() string { return "hpke1.chat" }

// If the connection breaks during the hellos it is closed, since the caller has no Conn to
// close it with: the context of Dialed would leak.
func TestHelloBroken(t *testing.T) {
	k := must(GenerateKey(X25519, day(1)))
	client := must(NewClient(ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat"}))
	server := must(NewServer(Config{Keys: must(NewKeyring(k)), Audience: audience}))
	hello := serverHello{offers: []offer{k.Public().offer()}}.bytes()
	died := func(err error) bool {
		return errors.Is(err, io.ErrClosedPipe) && errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF)
	}
	for _, m := range []*broken{{}, {hello: hello}} {
		if _, err := client.Connect(t.Context(), m); !died(err) || m.closed != 1 {
			t.Errorf("Connect: %v, closed %d times", err, m.closed)
		}
	}
	m := &broken{}
	if _, err := server.accept(t.Context(), m, "CID", "", ""); !died(err) || m.closed != 1 {
		t.Errorf("Accept: %v, closed %d times", err, m.closed)
	}
}
