package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/coder/websocket"
)

// inbox records the messages that a connection would have been sent.
type inbox struct{ events []event }

// event is any of the server's messages.
type event struct {
	Type, Room, From, Text, Reason string
	Rooms, People                  []string
	Latest                         map[string]int64
	History                        []post
}

func (b *inbox) Send(_ websocket.MessageType, p []byte) error {
	var e event
	if err := json.Unmarshal(p, &e); err != nil {
		return err
	}
	b.events = append(b.events, e)
	return nil
}

// take returns the messages of one type that arrived since the last call.
func (b *inbox) take(kind string) []event {
	all := b.events
	b.events = nil
	return slices.DeleteFunc(all, func(e event) bool { return e.Type != kind })
}

func TestRoomsTellWhoIsThere(t *testing.T) {
	h := newHub()
	var alice, bob, other inbox
	a, b := h.enter("alice", &alice), h.enter("bob", &bob)
	h.join(a, "lobby")
	h.join(b, "lobby")
	if got := alice.take("people"); len(got) != 1 || !slices.Equal(got[0].People, []string{"alice", "bob"}) {
		t.Errorf("when bob comes alice is told %v", got)
	}
	again := h.enter("bob", &other) // his second tab
	h.join(again, "lobby")
	h.exit(again)
	if got := alice.take("people"); len(got) != 0 {
		t.Errorf("a second tab of bob is no news, but alice is told %v", got)
	}
	h.exit(b)
	if got := alice.take("people"); len(got) != 1 || !slices.Equal(got[0].People, []string{"alice"}) {
		t.Errorf("when bob goes alice is told %v", got)
	}
}

func TestMessagesStayInTheirRoom(t *testing.T) {
	h := newHub()
	var alice, bob inbox
	a, b := h.enter("alice", &alice), h.enter("bob", &bob)
	h.say(a, "too early")
	if got := alice.take("refused"); len(got) != 1 || got[0].Reason != "not_in_a_room" {
		t.Errorf("to say something in no room: %v", got)
	}
	h.join(a, "lobby")
	h.join(b, "help")
	h.say(a, "hello")
	if got := alice.take("said"); len(got) != 1 || got[0].From != "alice" || got[0].Text != "hello" {
		t.Errorf("alice gets %v", got)
	}
	if got := bob.take("said"); len(got) != 0 {
		t.Errorf("bob, elsewhere, gets %v", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHub()
	var alice, late inbox
	a := h.enter("alice", &alice)
	h.join(a, "lobby")
	for i := range maxHistory + 7 {
		h.say(a, fmt.Sprint(i))
	}
	h.join(h.enter("bob", &late), "lobby")
	got := late.take("joined")
	if len(got) != 1 || len(got[0].History) != maxHistory || got[0].History[0].Text != "7" {
		t.Errorf("who comes late is told %v", got)
	}
}

func TestRoomsAreBounded(t *testing.T) {
	h := newHub()
	var box inbox
	var clients []*client
	for i := range maxRooms - len(firstRooms) {
		c := h.enter("alice", &box)
		h.join(c, fmt.Sprintf("room-%d", i))
		clients = append(clients, c)
	}
	c := h.enter("alice", &box)
	box.take("")
	h.join(c, "one-too-many")
	if got := box.take("refused"); len(got) != 1 || got[0].Reason != "too_many_rooms" {
		t.Errorf("the room too many: %v", got)
	}
	h.exit(clients[3]) // its room is empty now, and gives way
	h.join(c, "one-too-many")
	if h.find("one-too-many") == nil || h.find("room-3") != nil || len(h.rooms) != maxRooms {
		t.Errorf("rooms: %v", h.names())
	}
}

func TestParseRequest(t *testing.T) {
	long := make([]byte, maxText+1)
	for i := range long {
		long[i] = 'a'
	}
	good := []string{
		`{"type":"join","room":"lobby"}`,
		`{"type":"say","text":"two\nlines"}`,
		`{"type":"say","text":"` + string(long[:maxText]) + `"}`,
	}
	for _, s := range good {
		if _, err := parseRequest([]byte(s)); err != nil {
			t.Errorf("%.60s: %v", s, err)
		}
	}
	bad := []string{
		``, `null`, `[]`, `"say"`, `{}`, `{"type":"shout","text":"x"}`,
		`{"type":"say"}`, `{"type":"say","text":" \n "}`, `{"type":"say","text":"` + string(long) + `"}`,
		`{"type":"say","text":"a\u0000b"}`, `{"type":"say","text":"\u001b[31m"}`,
		`{"type":"say","text":"x","from":"bob"}`, // a client cannot name the sender
		`{"type":"say","text":"x","room":"help"}`,
		`{"type":"join","room":"Lobby"}`, `{"type":"join","room":"../x"}`, `{"type":"join","room":"a b"}`,
		`{"type":"join","room":"aaaaaaaaaaaaaaaaaaaaaaaaa"}`,
		`{"type":"join","room":"lobby"} {}`, `{"type":"join","room":"lobby"}x`,
	}
	for _, s := range bad {
		if q, err := parseRequest([]byte(s)); err == nil {
			t.Errorf("%.60s passes as %+v", s, q)
		}
	}
	if err := validate(t.Context(), websocket.MessageBinary, []byte(good[0])); err == nil {
		t.Error("a binary message passes")
	}
}
