package interop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

var closeWord = regexp.MustCompile(`^close (\d+) (.*)$`)

// gorillaServer echoes messages, except for the words that the test and converse send.
func gorillaServer(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{"chat.v1"}, WriteBufferSize: 3} // frames of 3 bytes with NextWriter
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetPongHandler(func(data string) error { return c.WriteMessage(websocket.TextMessage, []byte("pong "+data)) })
	for {
		typ, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		text := string(p)
		switch m := closeWord.FindStringSubmatch(text); {
		case m != nil:
			code, _ := strconv.Atoi(m[1])
			_ = c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, m[2]))
		case text == "close":
			_ = c.WriteMessage(websocket.CloseMessage, nil)
		case text == "drop":
			return
		case text == "ping":
			_ = c.WriteMessage(websocket.PingMessage, []byte("x"))
		case text == "who":
			_ = c.WriteMessage(typ, []byte(r.Header.Get("Authorization")))
		case text == "fragments":
			part, _ := c.NextWriter(typ)
			for _, s := range []string{"frag", "men", "ts"} {
				_, _ = part.Write([]byte(s))
			}
			_ = part.Close()
		default:
			_ = c.WriteMessage(typ, p)
		}
	}
}

// The client asks the server to end each connection in another way, and reconnects until Run
// ends. Package redial tests the same with coder/websocket and npm's ws.
func TestClientAgainstAServerOfGorilla(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(gorillaServer))
	t.Cleanup(s.Close)
	ends := []struct {
		say  string
		code coder.StatusCode
	}{
		{"drop", 1006},
		{"close 1012 restart", 1012},
		{"close 1001 away", 1001},
		{"close 1013 later", 1013},
		{"close 3000 expired", 3000},
		{"drop", 1006},
		{"close 4000 moved", 4000},
		{"close", 1005},
		{"close 1000 bye", 1000},
	}
	c, err := redial.New(redial.Config{
		URL: "wss" + strings.TrimPrefix(s.URL, "https"), HTTPClient: s.Client(), Subprotocols: []string{"chat.v1"},
		Credential: redial.Source(func(context.Context, bool) (redial.Credential, error) { return redial.BearerToken("t"), nil }),
		Backoff:    redial.Backoff{Min: time.Millisecond, Max: time.Millisecond, Spread: time.Millisecond},
		RetryCodes: []coder.StatusCode{4000, 1005},
	})
	must(t, err)
	visits := 0
	err = c.Run(t.Context(), func(_ context.Context, c *redial.Conn) error {
		end := ends[visits]
		visits++
		if c.Subprotocol() != "chat.v1" {
			t.Errorf("subprotocol %q", c.Subprotocol())
		}
		if err := converse(c); err != nil {
			t.Error(err)
			return redial.Permanent(err)
		}
		if err := c.Write(coder.MessageText, []byte(end.say)); err != nil {
			t.Error(err)
			return redial.Permanent(err)
		}
		_, _, err := c.Read()
		var closed *ws.CloseError
		if !errors.As(err, &closed) || closed.Code != end.code {
			t.Errorf("after %q: %v, want %d", end.say, err, end.code)
		}
		return err
	})
	var closed *ws.CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 || visits != len(ends) {
		t.Errorf("Run: %v after %d of %d visits", err, visits, len(ends))
	}
}

// converse sends one message of each kind.
func converse(c *redial.Conn) error {
	for _, m := range []struct {
		typ       coder.MessageType
		say, want string
	}{
		{coder.MessageText, "hello, wörld", "hello, wörld"},
		{coder.MessageText, "", ""},
		{coder.MessageText, "who", "Bearer t"},
		{coder.MessageText, "ping", "pong x"},
		{coder.MessageText, "fragments", "fragments"},
		{coder.MessageBinary, strings.Repeat("\x00\xff", 10_000), strings.Repeat("\x00\xff", 10_000)},
	} {
		if err := c.Write(m.typ, []byte(m.say)); err != nil {
			return fmt.Errorf("%.20q: %w", m.say, err)
		}
		typ, p, err := c.Read()
		if err != nil || typ != m.typ || string(p) != m.want {
			return fmt.Errorf("%.20q: answered %v %.20q %w", m.say, typ, p, err)
		}
	}
	return nil
}
