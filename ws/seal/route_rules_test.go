package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
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

// The 101 names limits at which a message of ws.Limits.Message bytes arrives, in plain text and sealed, and
// no longer one in plain text.
func TestRouteNamesTheLimitOfItsMessages(t *testing.T) {
	tests := []struct {
		sentence      string
		limits        ws.Limits
		plain, sealed string
	}{
		{sentence: "the default", plain: "message=65536, ", sealed: "message=65554, "},
		{sentence: "a limit", limits: ws.Limits{Message: 2000}, plain: "message=2000, ", sealed: "message=2018, "},
		{sentence: "a limit below a hello", limits: ws.Limits{Message: 60}, plain: "message=60, ", sealed: "message=1140, "},
		{
			sentence: "all bytes of a message may come at once", limits: ws.Limits{Message: 2000, ByteBurst: 2000},
			plain: "byte-burst=2000", sealed: "byte-burst=2018",
		},
		{
			sentence: "a larger burst stays", limits: ws.Limits{Message: 2000, ByteBurst: 3000},
			plain: "byte-burst=3000", sealed: "byte-burst=3000",
		},
	}
	sealer := must(NewServer(Config{
		Keys: must(NewKeyring(must(GenerateKey(X25519, day(30))))), Audience: audience, Policy: DangerouslyOptional,
	}))
	for _, tt := range tests {
		route := routeOf(ws.Config{Limits: tt.limits})
		for range 2 { // the configuration can be used again
			srv := wstest.NewServer(t, must(ws.New(sealer.Seal(route, func(context.Context, ws.Connection) error { return nil }))))
			for offered, want := range map[string]string{"chat": tt.plain, "hpke1.chat": tt.sealed} {
				raw, response, err := srv.Dial(t.Context(), "/", &websocket.DialOptions{
					Subprotocols: []string{offered}, HTTPHeader: http.Header{"Origin": {wstest.URL}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := response.Header.Get("Securews-Limits"); !strings.Contains(got, want) {
					t.Errorf("%s: %s: the 101 names %q, want %q", tt.sentence, offered, got, want)
				}
				_ = raw.CloseNow()
			}
		}
	}
}

// A mistake in a plain route is reported in the sealed one, too, and one that would shut out every client.
func TestMistakesOfASealedRoute(t *testing.T) {
	tests := []struct {
		sentence     string
		policy       Policy
		limits       ws.Limits
		subprotocols []string
		want         string // in the error of ws.New; "": none
	}{
		{sentence: "no int is larger", limits: ws.Limits{Message: math.MaxInt}, subprotocols: []string{"chat"}},
		{sentence: "a negative limit", limits: ws.Limits{Message: -1}, subprotocols: []string{"chat"}, want: "Limits.Message: -1"},
		{
			sentence: "a burst that is smaller than a message", limits: ws.Limits{Message: 2000, ByteBurst: 1999},
			subprotocols: []string{"chat"}, want: "Limits.ByteBurst: 1999",
		},
		{sentence: "no subprotocol", want: `Subprotocols: none for a sealed route`},
		{
			sentence: "no subprotocol, and plain text is admitted", policy: DangerouslyOptional,
			want: `Subprotocols: none for a sealed route`,
		},
		{
			sentence: "subprotocols that are sealed already", subprotocols: []string{"hpke1.chat"},
			want: `Subprotocols: "hpke1.hpke1.chat" is sealed twice`,
		},
	}
	for _, tt := range tests {
		sealer := must(NewServer(Config{
			Keys: must(NewKeyring(must(GenerateKey(X25519, day(30))))), Audience: audience, Policy: tt.policy,
		}))
		route := routeOf(ws.Config{Limits: tt.limits})
		route.Subprotocols = tt.subprotocols
		_, err := ws.New(sealer.Seal(route, func(context.Context, ws.Connection) error { return nil }))
		if refused := err != nil; refused != (tt.want != "") || refused && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: ws.New returns %v, want %q", tt.sentence, err, tt.want)
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
		{"a message beyond the limit", "four", 1009},
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
