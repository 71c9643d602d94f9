package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// listener is a server for sealed connections. It records the messages, how each connection
// ends, and messages in plain text.
type listener struct {
	*wstest.Server
	client *Client
	says   *ws.CloseError // sent in a close frame, without a close record, right after the key exchange

	mu    sync.Mutex
	heard []string
	ends  []error
	plain []string
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{}
	k := must(GenerateKey(X25519, day(30)))
	server := must(NewServer(Config{Keys: must(NewKeyring(k)), Audience: audience}))
	l.client = must(NewClient(ClientConfig{Keys: []PublicKey{k.Public()}, Audience: audience, App: "chat", Origin: wstest.URL}))
	l.Server = wstest.NewServer(t, must(ws.New(ws.Config{
		Origins:      must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})),
		Auth:         must(middleware.NewAuth(middleware.Anonymous())),
		Live:         must(live.New(live.Config{})),
		Subprotocols: server.Subprotocols("chat"),
		Log:          slog.New(slog.DiscardHandler),
		Validate: func(_ context.Context, typ websocket.MessageType, p []byte) error {
			if typ != websocket.MessageBinary || bytes.Contains(p, []byte("secret")) {
				l.note(&l.plain, string(p))
			}
			return nil
		},
		Serve: server.Serve(func(_ context.Context, c *Conn) error {
			if l.says != nil {
				return c.m.Close(l.says.Code, l.says.Reason)
			}
			for {
				_, p, err := c.Read()
				if err != nil {
					l.mu.Lock()
					l.ends = append(l.ends, err)
					l.mu.Unlock()
					return err
				}
				l.note(&l.heard, string(p))
				if string(p) == "restart" {
					return ws.ErrDraining
				}
			}
		}),
	})))
	return l
}

func (l *listener) note(where *[]string, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*where = append(*where, what)
}

func (l *listener) config() redial.Config {
	return redial.Config{URL: "wss://app.example/", Origin: wstest.URL, Subprotocols: l.client.Subprotocols(), HTTPClient: l.Client()}
}

// listenTo reads until the end.
func listenTo(c *Conn) error {
	for {
		if _, _, err := c.Read(); err != nil {
			return err
		}
	}
}

// check compares the messages received, and checks that none was in plain text.
func (l *listener) check(t *testing.T, heard ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.heard, heard) {
		t.Errorf("the server heard %q, want %q", l.heard, heard)
	}
	if len(l.plain) > 0 {
		t.Errorf("in the clear: %q", l.plain)
	}
}

// The queue of the reconnecting client is sent sealed, on every connection and behind the
// greeting; until serve has sealed the connection, it waits.
func TestQueueGoesOutSealed(t *testing.T) {
	connectInServe := func(l *listener, cfg *redial.Config) func(context.Context, *redial.Conn) error {
		return func(ctx context.Context, raw *redial.Conn) error {
			time.Sleep(time.Second)
			c, err := l.client.Connect(ctx, raw)
			if err != nil {
				return err
			}
			return listenTo(c)
		}
	}
	connectInGreet := func(l *listener, cfg *redial.Config) func(context.Context, *redial.Conn) error {
		var c *Conn
		cfg.Greet = func(ctx context.Context, raw *redial.Conn) (err error) {
			if c, err = l.client.Connect(ctx, raw); err != nil {
				return err
			}
			return c.Write(websocket.MessageText, []byte("hello"))
		}
		return func(context.Context, *redial.Conn) error { return listenTo(c) }
	}
	for _, tt := range []struct {
		name  string
		serve func(*listener, *redial.Config) func(context.Context, *redial.Conn) error
		heard []string
	}{
		{"sealed in serve", connectInServe, []string{"secret 1", "restart", "secret 2", "secret 3"}},
		{"sealed in Greet", connectInGreet, []string{"hello", "secret 1", "restart", "hello", "secret 2", "secret 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newListener(t)
				cfg := l.config()
				serve := tt.serve(l, &cfg)
				client := must(redial.New(cfg))
				send := func(text string) {
					if err := client.Send(websocket.MessageText, []byte(text)); err != nil {
						t.Error(err)
					}
				}
				send("secret 1")
				send("restart")
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- client.Run(ctx, serve) }()
				time.Sleep(1500 * time.Millisecond)
				send("secret 2") // while it waits
				time.Sleep(time.Minute)
				send("secret 3")
				synctest.Wait()
				cancel()
				<-ended
				l.check(t, tt.heard...)
			})
		})
	}
}

// If the connection is never sealed, no queued message is sent over it, and the messages are
// reported.
func TestQueueOfAConnectionThatNobodySeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener(t)
		cfg := l.config()
		var lost []string
		cfg.OnUndelivered = func(u redial.Undelivered) { lost = append(lost, string(u.Payload)) }
		client := must(redial.New(cfg))
		_ = client.Send(websocket.MessageText, []byte("secret"))
		err := client.Run(t.Context(), func(_ context.Context, raw *redial.Conn) error {
			time.Sleep(time.Second)
			return errors.New("no key")
		})
		if err == nil || !slices.Equal(lost, []string{"secret"}) {
			t.Errorf("%v, undelivered %q", err, lost)
		}
		synctest.Wait()
		l.check(t)
	})
}

// If the client closes a connection normally, to renew it or because serve is done, it sends
// a close record.
func TestRedialSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener(t)
		cfg := l.config()
		cfg.Credential = redial.Bearer(func(context.Context, bool) (string, time.Time, error) {
			return "t", time.Now().Add(time.Minute), nil
		})
		var c *Conn
		connections := 0
		cfg.Greet = func(ctx context.Context, raw *redial.Conn) (err error) {
			connections++
			c, err = l.client.Connect(ctx, raw)
			return err
		}
		client := must(redial.New(cfg))
		err := client.Run(t.Context(), func(ctx context.Context, raw *redial.Conn) error {
			if connections == 3 {
				return client.Send(websocket.MessageText, []byte("secret"))
			}
			return listenTo(c)
		})
		synctest.Wait()
		l.check(t, "secret")
		if err != nil || len(l.ends) != 3 {
			t.Fatalf("Run: %v, after %d connections", err, len(l.ends))
		}
		for _, end := range l.ends {
			if !errors.Is(end, io.EOF) || errors.Is(end, io.ErrUnexpectedEOF) {
				t.Errorf("the server saw %v, want io.EOF", end)
			}
		}
	})
}

// On a sealed connection the close frame that redial reports is not authenticated: it does
// not match a cause of ws, although Run, which trusts TLS, acts on it.
func TestRedialHearsay(t *testing.T) {
	for _, words := range []*ws.CloseError{ws.ErrRevoked, ws.ErrForbidden, ErrDecrypt} {
		synctest.Test(t, func(t *testing.T) {
			l := newListener(t)
			l.says = words
			client := must(redial.New(l.config()))
			var seen error
			err := client.Run(t.Context(), func(ctx context.Context, raw *redial.Conn) error {
				c, err := l.client.Connect(ctx, raw)
				if err != nil {
					return err
				}
				seen = listenTo(c)
				return seen
			})
			if errors.Is(seen, words) || errors.Is(seen, io.EOF) || !errors.Is(seen, io.ErrUnexpectedEOF) {
				t.Errorf("Read: %v, want io.ErrUnexpectedEOF alone", seen)
			}
			if !errors.Is(err, words) {
				t.Errorf("Run: %v, want %v", err, words)
			}
		})
	}
}
