package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// routeOf completes the configuration of a plain route.
func routeOf(cfg ws.Config) ws.Config {
	cfg.Origins = must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}}))
	cfg.Auth = must(middleware.NewAuth(middleware.Anonymous()))
	cfg.Live = must(live.New(live.Config{}))
	cfg.Subprotocols = []string{"chat"}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// connectTo seals a route, and connects a client to it: sealed, or in plain text.
func connectTo(t *testing.T, cfg ws.Config, plain bool, serve func(ctx context.Context, c ws.Connection) error) *Conn {
	t.Helper()
	key := must(GenerateKey(X25519, day(30)))
	sealer := must(NewServer(Config{Keys: must(NewKeyring(key)), Audience: audience, Policy: DangerouslyOptional}))
	client := must(NewClient(ClientConfig{
		Keys: []PublicKey{key.Public()}, Audience: audience, App: "chat", Origin: wstest.URL, Policy: DangerouslyOptional,
	}))
	offered := client.Subprotocols()
	if plain {
		offered = []string{"chat"}
	}
	raw, _, err := wstest.NewServer(t, must(ws.New(sealer.Seal(routeOf(cfg), serve)))).Dial(t.Context(), "/", &websocket.DialOptions{
		Subprotocols: offered, HTTPHeader: http.Header{"Origin": {wstest.URL}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Connect(t.Context(), Dialed(t.Context(), raw))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.CloseNow() })
	return c
}

// Records need room for their payloads and for the exchange of keys. The mistakes in a plain route are
// reported in the sealed one, too.
func TestSealedRouteMakesRoomForRecords(t *testing.T) {
	tests := []struct {
		sentence    string
		plain, want ws.Limits
		refused     string
	}{
		{sentence: "the default", want: ws.Limits{Message: 65536 + 18}},
		{sentence: "a limit", plain: ws.Limits{Message: 2000}, want: ws.Limits{Message: 2018}},
		{sentence: "a limit below a hello", plain: ws.Limits{Message: 10}, want: ws.Limits{Message: 1140}},
		{sentence: "no int is larger", plain: ws.Limits{Message: math.MaxInt}, want: ws.Limits{Message: math.MaxInt}},
		{
			sentence: "all bytes of a message may come at once",
			plain:    ws.Limits{Message: 2000, ByteBurst: 2000}, want: ws.Limits{Message: 2018, ByteBurst: 2018},
		},
		{
			sentence: "a larger burst stays", plain: ws.Limits{Message: 2000, ByteBurst: 3000},
			want: ws.Limits{Message: 2018, ByteBurst: 3000},
		},
		{
			sentence: "a burst that the plain route could not have", plain: ws.Limits{Message: 2000, ByteBurst: 1999},
			want: ws.Limits{Message: 2018, ByteBurst: 1999}, refused: "Limits.ByteBurst: 1999",
		},
		{sentence: "a negative limit", plain: ws.Limits{Message: -1}, want: ws.Limits{Message: -1}, refused: "Limits.Message: -1"},
	}
	sealer := must(NewServer(Config{Keys: must(NewKeyring(must(GenerateKey(X25519, day(30))))), Audience: audience}))
	for _, tt := range tests {
		plain := routeOf(ws.Config{Limits: tt.plain})
		for range 2 { // the configuration can be used again
			cfg := sealer.Seal(plain, func(context.Context, ws.Connection) error { return nil })
			if cfg.Limits != tt.want || !slices.Equal(cfg.Subprotocols, []string{"hpke1.chat"}) {
				t.Errorf("%s: %+v %q, want %+v", tt.sentence, cfg.Limits, cfg.Subprotocols, tt.want)
			}
			_, err := ws.New(cfg)
			if refused := err != nil; refused != (tt.refused != "") || refused && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s: ws.New returns %v, want %q", tt.sentence, err, tt.refused)
			}
		}
	}
}

// The bounds of the queue that a route sets hold when it is sealed; else those of Config do.
func TestSealedRouteKeepsItsQueue(t *testing.T) {
	tests := []struct {
		sentence string
		limits   ws.Limits
		want     outqueue.Load
	}{
		{"the route sets none", ws.Limits{}, outqueue.Load{Messages: 1024, Bytes: 1 << 20}},
		{"bytes", ws.Limits{QueueBytes: 500}, outqueue.Load{Messages: 1024, Bytes: 500}},
		{"messages", ws.Limits{QueueMessages: 3}, outqueue.Load{Messages: 3, Bytes: 1 << 20}},
	}
	for _, tt := range tests {
		got := make(chan outqueue.Load, 1)
		connectTo(t, ws.Config{Limits: tt.limits}, false, func(_ context.Context, c ws.Connection) error {
			got <- c.(*Conn).out.most
			return nil
		})
		if most := <-got; most != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.sentence, most, tt.want)
		}
	}
}

// Without a sealed subprotocol the rules of the route hold for the same messages.
func TestPlainTextKeepsTheRules(t *testing.T) {
	tests := []struct {
		sentence string
		message  string
		code     websocket.StatusCode
	}{
		{"a message beyond the limit, within that of records", "four", 1009},
		{"a message that Validate refuses", "bad", 1008},
	}
	for _, tt := range tests {
		served := make(chan error, 1)
		c := connectTo(t, ws.Config{
			Limits:   ws.Limits{Message: 3},
			Validate: func(context.Context, websocket.MessageType, []byte) error { return errSwear },
		}, true, func(_ context.Context, c ws.Connection) error {
			_, _, err := c.Read()
			_, _, again := c.Read()
			if again != err {
				t.Errorf("%s: the next Read returns %v, want %v", tt.sentence, again, err)
			}
			served <- err
			return err
		})
		if err := c.Write(websocket.MessageText, []byte(tt.message)); err != nil || c.Sealed() {
			t.Fatalf("%v, sealed %t", err, c.Sealed())
		}
		_, _, err := c.Read()
		if code := websocket.CloseStatus(err); code != tt.code {
			t.Errorf("%s: the client reads %v, want %d", tt.sentence, err, tt.code)
		}
		if end, ok := errors.AsType[*ws.CloseError](<-served); !ok || end.Code != tt.code {
			t.Errorf("%s: the application reads %v, want %d", tt.sentence, end, tt.code)
		}
	}
}

// The first message of ws.Timeouts.FirstMessage is one of the application: the exchange of keys is none.
func TestSealedRouteWaitsForTheFirstMessage(t *testing.T) {
	tests := []struct {
		sentence string
		after    time.Duration // of the first message
		code     websocket.StatusCode
	}{
		{"in time", 4 * time.Second, websocket.StatusNormalClosure},
		{"too late", 6 * time.Second, 3008},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			cfg := ws.Config{Timeouts: ws.Timeouts{FirstMessage: 5 * time.Second}}
			c := connectTo(t, cfg, false, func(_ context.Context, c ws.Connection) error {
				_, _, err := c.Read()
				if err == nil {
					time.Sleep(time.Minute) // the message is there
				}
				return err
			})
			first := time.AfterFunc(tt.after, func() { _ = c.Write(websocket.MessageText, []byte("hello")) })
			defer first.Stop()
			_, _, err := c.Read()
			if end, ok := errors.AsType[*ws.CloseError](err); !ok || end.Code != tt.code {
				t.Errorf("%s: the client reads %v, want %d", tt.sentence, err, tt.code)
			}
		})
	}
}

// Validate may take time, in which the connection ends.
func TestReadReturnsNoMessageAfterTheEnd(t *testing.T) {
	for _, plain := range []bool{false, true} {
		conn, served := make(chan *Conn, 1), make(chan error, 1)
		c := connectTo(t, ws.Config{
			Validate: func(context.Context, websocket.MessageType, []byte) error {
				return (<-conn).m.Close(ws.ErrRevoked.Code, ws.ErrRevoked.Reason)
			},
		}, plain, func(_ context.Context, c ws.Connection) error {
			conn <- c.(*Conn)
			_, p, err := c.Read()
			if p != nil {
				t.Errorf("plain %t: %q is read after the end", plain, p)
			}
			served <- err
			return err
		})
		if err := c.Write(websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if end, ok := errors.AsType[*ws.CloseError](<-served); !ok || end.Code != ws.ErrRevoked.Code {
			t.Errorf("plain %t: the application reads %v, want 3000 revoked", plain, end)
		}
	}
}

// The errors of Validate mean the same as on a plain route: see ws.Config.
func TestErrorsOfValidate(t *testing.T) {
	own := &ws.CloseError{Code: 4000, Reason: "swearing"}
	tests := []struct {
		sentence string
		err      error
		code     websocket.StatusCode
		text     string
	}{
		{"any error", errSwear, 1008, "no swearing"},
		{"a CloseError", own, 4000, "4000"},
		{"a CloseError with text around it", fmt.Errorf("word 3: %w", own), 4000, "word 3"},
		{"a code that may not be sent", &ws.CloseError{Code: 1005}, 1011, "1005 may not be sent"},
		{"a nil CloseError", (*ws.CloseError)(nil), 1011, "nil *CloseError"},
	}
	for _, tt := range tests {
		if end := closeErrorOf(tt.err); end.Code != tt.code || !strings.Contains(end.Error(), tt.text) {
			t.Errorf("%s: %v, want %d and %q", tt.sentence, end, tt.code, tt.text)
		}
	}
}
