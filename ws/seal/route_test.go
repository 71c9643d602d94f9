package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// One function serves connections of every kind, on both ends.
var (
	_ ws.Connection = (*Conn)(nil)
	_ ws.Connection = (*redial.Conn)(nil)
)

// echo is an application of a plain route.
func echo(c ws.Connection) error {
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

var errSwear = errors.New("no swearing")

// A route keeps its limit and its Validate when it is sealed: both are about the application's
// messages, and not about records.
func TestSealedRouteKeepsItsRules(t *testing.T) {
	tests := []struct {
		sentence string
		limit    int // Limits.Message
		validate error
		bytes    int
		code     websocket.StatusCode // 0: the message comes back
		reason   string
	}{
		{sentence: "a message of all the bytes of the limit", limit: 2000, bytes: 2000},
		{sentence: "one byte more", limit: 2000, bytes: 2001, code: 1009, reason: "too_big"},
		{sentence: "a message of all the bytes of the default", bytes: 65536},
		{sentence: "one byte more than the default", bytes: 65537, code: 1009, reason: "too_big"},
		{sentence: "a small limit leaves room for the exchange of keys", limit: 10, bytes: 10},
		{sentence: "and counts messages only", limit: 10, bytes: 11, code: 1009, reason: "too_big"},
		{sentence: "a message that Validate refuses", validate: errSwear, bytes: 10, code: 1008, reason: "invalid"},
		{
			sentence: "a message that Validate ends with a code of the application",
			validate: &ws.CloseError{Code: 4000, Reason: "swearing"}, bytes: 10, code: 4000, reason: "swearing",
		},
		{
			sentence: "a code that may not be sent is a mistake of the application",
			validate: &ws.CloseError{Code: 1005}, bytes: 10, code: 1011, reason: "internal",
		},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			message := bytes.Repeat([]byte("a"), tt.bytes)
			key := must(GenerateKey(XWing, day(30)))
			sealer := must(NewServer(Config{Keys: must(NewKeyring(key)), Audience: audience}))
			served := make(chan error, 1)
			socket, err := ws.New(sealer.Seal(ws.Config{
				Origins:      must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})),
				Auth:         must(middleware.NewAuth(middleware.Anonymous())),
				Live:         must(live.New(live.Config{})),
				Subprotocols: []string{"chat"},
				Limits:       ws.Limits{Message: tt.limit},
				Log:          slog.New(slog.DiscardHandler),
				Validate: func(_ context.Context, typ websocket.MessageType, p []byte) error {
					if typ != websocket.MessageText || !bytes.Equal(p, message) {
						t.Errorf("Validate was called with %d bytes of type %v", len(p), typ)
					}
					return tt.validate
				},
			}, func(_ context.Context, c ws.Connection) error {
				err := echo(c)
				served <- err
				return err
			}))
			if err != nil {
				t.Fatal(err)
			}
			client := must(NewClient(ClientConfig{Keys: []PublicKey{key.Public()}, Audience: audience, App: "chat", Origin: wstest.URL}))
			srv := wstest.NewServer(t, socket)
			raw, _, err := srv.Dial(t.Context(), "/", &websocket.DialOptions{
				Subprotocols: client.Subprotocols(), HTTPHeader: http.Header{"Origin": {wstest.URL}},
			})
			if err != nil {
				t.Fatal(err)
			}
			raw.SetReadLimit(1 << 20)
			c, err := client.Connect(t.Context(), Dialed(t.Context(), raw))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Write(websocket.MessageText, message); err != nil {
				t.Fatal(err)
			}
			typ, p, err := c.Read()
			if tt.code == 0 {
				if err != nil || typ != websocket.MessageText || !bytes.Equal(p, message) {
					t.Errorf("%d bytes came back, %v, want the message", len(p), err)
				}
				_ = c.Close(websocket.StatusNormalClosure, "")
				if err := <-served; !errors.Is(err, io.EOF) {
					t.Errorf("the application ended with %v, want io.EOF", err)
				}
				return
			}
			var end *ws.CloseError
			if !errors.As(err, &end) || end.Code != tt.code || end.Reason != tt.reason {
				t.Errorf("the client reads %v, want %d %s", err, tt.code, tt.reason)
			}
			var own *ws.CloseError
			if err := <-served; !errors.As(err, &own) || own.Code != tt.code {
				t.Errorf("the application ended with %v, want %d", err, tt.code)
			}
		})
	}
}
