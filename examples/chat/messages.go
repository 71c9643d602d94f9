package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/coder/websocket"
)

// subprotocol names the message format below. Clients offer it, so that a later chat.v2
// can be served beside it.
const subprotocol = "chat.v1"

const (
	maxText    = 2000 // bytes of one message
	maxMessage = 8192 // bytes on the wire; two bytes of text may take six (\u00e9)
)

var roomName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,23}$`)

// request is a message from a client:
//
//	{"type":"join","room":"lobby"}
//	{"type":"say","text":"Hello"}
//
// It has no field for a name: the sender is the connection's principal.
type request struct {
	Type string `json:"type"`
	Room string `json:"room,omitempty"`
	Text string `json:"text,omitempty"`
}

// validate is ws.Config.Validate: it is called for every message before Serve receives it,
// and a message it rejects ends the connection with 1008 `invalid` (ASVS 2.2.1).
func validate(_ context.Context, typ websocket.MessageType, p []byte) error {
	_, err := parseMessage(typ, p)
	return err
}

func parseMessage(typ websocket.MessageType, p []byte) (request, error) {
	if typ != websocket.MessageText {
		return request{}, errors.New("chat: a binary message")
	}
	return parseRequest(p)
}

// parseRequest accepts exactly the messages that request describes: no unknown fields, no
// trailing data, no value out of bounds.
func parseRequest(p []byte) (request, error) {
	var q request
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return request{}, fmt.Errorf("chat: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return request{}, errors.New("chat: trailing data after the message")
	}
	switch {
	case q.Type == "join" && q.Text == "" && roomName.MatchString(q.Room):
		return q, nil
	case q.Type == "say" && q.Room == "" && sayable(q.Text):
		return q, nil
	case q.Type == "join", q.Type == "say":
		return request{}, fmt.Errorf("chat: a bad %s", q.Type)
	}
	return request{}, errors.New("chat: an unknown type of message")
}

// sayable rejects control characters. The page shows text as text in any case, but a
// message may also be displayed in a log or a terminal.
func sayable(text string) bool {
	return len(text) <= maxText && strings.TrimSpace(text) != "" &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// post is one message in a room.
type post struct {
	ID   int64     `json:"id"`
	From string    `json:"from"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// The messages of the server.
type (
	// welcome is the first message on every connection.
	welcome struct {
		Type  string   `json:"type"` // "welcome"
		User  string   `json:"user"`
		Rooms []string `json:"rooms"`
		// Latest has the ID of the last message of each room that has one.
		Latest map[string]int64 `json:"latest,omitempty"`
	}
	// news tells every client that something was said in a room. Once they all know, it is not
	// repeated before a client comes, or leaves a room.
	news struct {
		Type string `json:"type"` // "news"
		Room string `json:"room"`
	}
	// rooms tells every client that there is a new room.
	rooms struct {
		Type  string   `json:"type"` // "rooms"
		Rooms []string `json:"rooms"`
	}
	// joined answers a join.
	joined struct {
		Type    string   `json:"type"` // "joined"
		Room    string   `json:"room"`
		People  []string `json:"people"`
		History []post   `json:"history"`
	}
	// people tells the clients in a room which users are in it.
	people struct {
		Type   string   `json:"type"` // "people"
		Room   string   `json:"room"`
		People []string `json:"people"`
	}
	// said is a message to a room.
	said struct {
		Type string `json:"type"` // "said"
		Room string `json:"room"`
		post
	}
	// refused answers a request that was well formed but cannot be done.
	refused struct {
		Type   string `json:"type"` // "refused"
		Reason string `json:"reason"`
	}
)

// encode cannot fail: JSON can represent every field of the types above.
func encode(event any) []byte {
	b, _ := json.Marshal(event)
	return b
}
