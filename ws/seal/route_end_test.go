package seal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// kindsOfRoute connect a client to a route that is plain, sealed, or sealed with a client in plain text.
var kindsOfRoute = map[string]func(*testing.T, ws.Config, func(context.Context, ws.Connection) error) messenger{
	"a plain route": func(t *testing.T, cfg ws.Config, serve func(context.Context, ws.Connection) error) messenger {
		cfg.Serve = func(ctx context.Context, c *ws.Conn) error { return serve(ctx, c) }
		raw, _, err := wstest.NewServer(t, must(ws.New(routeOf(cfg)))).Dial(t.Context(), "/", &websocket.DialOptions{
			Subprotocols: []string{"chat"}, HTTPHeader: http.Header{"Origin": {wstest.URL}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = raw.CloseNow() })
		return Dialed(t.Context(), raw)
	},
	"a sealed route": func(t *testing.T, cfg ws.Config, serve func(context.Context, ws.Connection) error) messenger {
		return connectTo(t, cfg, false, serve)
	},
	"a sealed route in plain text": func(t *testing.T, cfg ws.Config, serve func(context.Context, ws.Connection) error) messenger {
		return connectTo(t, cfg, true, serve)
	},
}

type messenger interface {
	Read() (websocket.MessageType, []byte, error)
	Write(typ websocket.MessageType, p []byte) error
}

// The end by Validate sends the queue or drops it by its code, see ws.Conn.Send, on every kind of route.
func TestEndByValidateSendsTheQueueInGoodOrder(t *testing.T) {
	const messages = 100 // of 8 KiB: more than the network holds
	message := bytes.Repeat([]byte("x"), 8<<10)
	tests := []struct {
		code websocket.StatusCode
		sent bool
	}{
		{1000, true},
		{1001, true},
		{1012, true},
		{4000, true},
		{4999, true},
		{1003, false},
		{1008, false},
		{1011, false},
		{1013, false},
		{3000, false},
		{3008, false},
	}
	for _, tt := range tests {
		for kind, connect := range kindsOfRoute {
			t.Run(fmt.Sprint(kind, " ", tt.code), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var conn ws.Connection
					cfg := ws.Config{Validate: func(context.Context, websocket.MessageType, []byte) error {
						for range messages {
							if err := conn.Send(websocket.MessageText, message); err != nil {
								t.Error(err)
							}
						}
						return &ws.CloseError{Code: tt.code, Reason: "bye"}
					}}
					c := connect(t, cfg, func(_ context.Context, c ws.Connection) error {
						conn = c
						_, _, err := c.Read()
						return err
					})
					if err := c.Write(websocket.MessageText, []byte("hello")); err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // the queue is there, and the end decided
					got := 0
					var err error
					for ; err == nil; got++ {
						_, _, err = c.Read()
					}
					got--
					if tt.sent != (got == messages) || !tt.sent && got > messages/2 {
						t.Errorf("%d of %d messages arrive", got, messages)
					}
					if end := closed(0, nil, err); end.Code != tt.code {
						t.Errorf("the client reads %v, want %d", err, tt.code)
					}
				})
			})
		}
	}
}

// The line of the end names the error behind it.
func TestLogNamesTheCauseOfValidate(t *testing.T) {
	for kind, connect := range kindsOfRoute {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lines bytes.Buffer // of one goroutine at a time: slog's handler has a lock, and the test waits
				cfg := ws.Config{
					Log:      slog.New(slog.NewTextHandler(&lines, nil)),
					Validate: func(context.Context, websocket.MessageType, []byte) error { return errSwear },
				}
				c := connect(t, cfg, func(_ context.Context, c ws.Connection) error {
					_, _, _ = c.Read()
					return nil
				})
				if err := c.Write(websocket.MessageText, []byte("the message")); err != nil {
					t.Fatal(err)
				}
				_, _, _ = c.Read()
				synctest.Wait()
				log := lines.String()
				_, line, _ := strings.Cut(log, `msg="websocket closed"`)
				if !strings.Contains(line, "code=1008 reason=invalid ") || !strings.Contains(line, `cause="no swearing"`) {
					t.Errorf("the line is %q, want the cause", line)
				}
				if strings.Contains(log, "the message") {
					t.Errorf("the log quotes the message: %s", log)
				}
			})
		})
	}
}
