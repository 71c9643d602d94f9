package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

const (
	subprotocol = "chat.v1"
	maxText     = 2000 // bytes of one message, by the server's rule
)

// config returns the configuration for the route that the options select.
func (t *terminal) config() (redial.Config, error) {
	cfg := redial.Config{
		URL:          "wss" + strings.TrimPrefix(t.origin, "https") + "/socket",
		Origin:       t.origin,
		HTTPClient:   t.account.http,
		Subprotocols: []string{subprotocol},
		OnState:      t.tell,
	}
	route := "/ticket"
	if t.seal {
		t.room, route = "sealed", "/ticket/sealed"
		cfg.URL = "wss" + strings.TrimPrefix(t.origin, "https") + "/sealed"
	}
	tickets, err := t.account.tickets(route)
	if err != nil {
		return cfg, err
	}
	cfg.Credential = tickets
	if t.seal {
		t.sealer, err = newSealer(t.quit, t.account, t.user)
		if err != nil {
			return cfg, err
		}
		cfg.Subprotocols = t.sealer.subprotocols()
		cfg.Credential = t.sealer.before(tickets)
	}
	return cfg, nil
}

// serve is one connection's life.
func (t *terminal) serve(ctx context.Context, c *redial.Conn) error {
	if t.sealer == nil {
		return t.talk(c, "connected")
	}
	sealed, err := t.sealer.connect(ctx, c)
	if err != nil {
		return err
	}
	return t.talk(sealed, "connected, sealed")
}

// request and event are the messages of chat.v1.
type request struct {
	Type string `json:"type"`
	Room string `json:"room,omitempty"`
	Text string `json:"text,omitempty"`
}

type event struct {
	Type, Room, Reason string
	People             []string
	History            []post
	post
}

type post struct {
	ID         int64
	From, Text string
	At         time.Time
}

// talk sends the lines that are typed and shows the messages that arrive, until the
// connection ends or the user quits.
func (t *terminal) talk(c ws.Connection, greeting string) error {
	t.screen.Print("* ", greeting)
	if err := c.WriteJSON(request{Type: "join", Room: t.room}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- t.listen(c) }()
	for {
		select {
		case line := <-t.lines:
			if err := t.say(c, line); err != nil {
				t.screen.Printf("* may not have been sent: %s", plain(line))
				<-ended
				return err
			}
		case err := <-ended:
			return err
		case <-t.quit.Done():
			err := c.Close(websocket.StatusNormalClosure, "") // on a sealed connection, sends a close record first
			<-ended
			return err
		}
	}
}

func (t *terminal) say(c ws.Connection, line string) error {
	text := strings.TrimSpace(plain(line))
	switch {
	case text == "":
		return nil
	case len(text) > maxText:
		t.screen.Printf("* not sent: %d bytes, %d at most", len(text), maxText)
		return nil
	}
	return c.WriteJSON(request{Type: "say", Text: text})
}

func (t *terminal) listen(c ws.Connection) error {
	for {
		_, p, err := c.Read()
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(p, &e); err != nil {
			return fmt.Errorf("the server does not speak %s: %w", subprotocol, err)
		}
		switch e.Type {
		case "joined":
			t.screen.Printf("* in %s: %s", plain(e.Room), plain(strings.Join(e.People, ", ")))
			if t.last.ID != 0 && len(e.History) > 0 && e.History[0].after(t.last) {
				t.screen.Print("* messages that were sent meanwhile may be missing here") // the server keeps the last ones
			}
			for _, p := range e.History {
				if p.after(t.last) { // sent while disconnected
					t.show(p)
				}
			}
		case "people":
			t.screen.Printf("* in %s: %s", plain(e.Room), plain(strings.Join(e.People, ", ")))
		case "said":
			t.show(e.post)
		case "refused":
			t.screen.Printf("* refused: %s", plain(e.Reason))
		}
	}
}

func (t *terminal) show(p post) {
	t.last = p
	t.screen.Printf("%s %s: %s", p.At.Local().Format("15:04"), plain(p.From), plain(p.Text))
}

// after compares times first, because the server restarts its IDs when it restarts.
func (p post) after(q post) bool {
	return p.At.After(q.At) || p.At.Equal(q.At) && p.ID > q.ID
}

// plain replaces characters that control a terminal: those of escape sequences, and those
// that change the direction of text.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}
