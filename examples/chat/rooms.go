package main

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	maxRooms   = 32
	maxHistory = 50 // messages that a room keeps
)

// firstRooms always exist.
var firstRooms = []string{"lobby", "random", "help"}

// sealedRoom is the one room of the sealed connections.
const sealedRoom = "sealed"

// client is one connection. Its room is guarded by hub.mu.
type client struct {
	user string // from the principal, never from a message
	to   sender
	room *room
}

func (c *client) send(event []byte) {
	// The error is the end of the connection; its Serve reads the same one.
	_ = c.to.Send(websocket.MessageText, event)
}

type room struct {
	crowd
	name    string
	present map[string]int // connections by user
	history []post
}

// hub holds every room and every connection. Its mutex is held while a message is queued
// for all of them, so that all see the same order; no call blocks while it is held.
type hub struct {
	refuses func(room string) (reason string) // "": it may be joined or created
	publish func(said) error                  // has every node deliver a message; nil: there is one node
	beside  *hub                              // its clients hear the news of this one; set before use

	mu       sync.Mutex
	rooms    []*room // in the order of creation
	everyone crowd
	known    map[string]bool // rooms of which all clients know that there is something new
	lastID   int64
}

func newHub() *hub {
	return hubOf(firstRooms, func(room string) string {
		if room == sealedRoom {
			return "sealed_only"
		}
		return ""
	})
}

// newVault is the hub of the sealed connections.
func newVault() *hub {
	return hubOf([]string{sealedRoom}, func(room string) string {
		if room != sealedRoom {
			return "no_such_room"
		}
		return ""
	})
}

func hubOf(rooms []string, refuses func(string) string) *hub {
	h := &hub{refuses: refuses, known: map[string]bool{}}
	for _, name := range rooms {
		h.add(name)
	}
	return h
}

// enter adds a connection, which is in no room yet.
func (h *hub) enter(user string, to sender) *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &client{user: user, to: to}
	h.everyone.join(to)
	clear(h.known)
	c.send(encode(welcome{"welcome", user, h.names(), h.latest()}))
	return c
}

// exit removes a connection from the hub.
func (h *hub) exit(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.everyone.leave(c.to)
	h.leave(c)
}

// join moves a connection to a room, which is created if it does not exist.
func (h *hub) join(c *client, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reason := h.refuses(name); reason != "" {
		c.send(encode(refused{"refused", reason}))
		return
	}
	r := h.find(name)
	if r == nil {
		if r = h.add(name); r == nil {
			c.send(encode(refused{"refused", "too_many_rooms"}))
			return
		}
		h.everyone.tell(rooms{"rooms", h.names()})
	}
	if c.room != r {
		h.leave(c)
		c.room = r
		if r.present[c.user]++; r.present[c.user] == 1 {
			r.tell(people{"people", r.name, r.people()})
		}
		r.join(c.to)
	}
	c.send(encode(joined{"joined", r.name, r.people(), r.history}))
}

// say sends a message to every client in the connection's room, itself included.
func (h *hub) say(c *client, text string) {
	name, ok := h.roomOf(c)
	if !ok {
		c.send(encode(refused{"refused", "not_in_a_room"}))
		return
	}
	m := said{"said", name, post{0, c.user, time.Now().UTC().Truncate(time.Millisecond), text}}
	if h.publish == nil {
		h.deliver(m)
	} else if err := h.publish(m); err != nil {
		c.send(encode(refused{"refused", "unavailable"}))
	}
}

func (h *hub) roomOf(c *client) (name string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.room == nil {
		return "", false
	}
	return c.room.name, true
}

// deliver sends a message of this node or another one to the clients in its room. One without an
// ID gets the next.
func (h *hub) deliver(m said) {
	h.keep(m)
	for _, to := range []*hub{h, h.beside} {
		if to != nil {
			to.announce(m.Room)
		}
	}
}

func (h *hub) keep(m said) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.find(m.Room)
	if r == nil { // it was created on another node
		if r = h.add(m.Room); r == nil {
			return
		}
		h.everyone.tell(rooms{"rooms", h.names()})
	}
	if m.ID == 0 {
		h.lastID++
		m.ID = h.lastID
	}
	if len(r.history) == maxHistory {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, m.post)
	r.tell(m)
}

// announce tells every client that there is something new in a room, unless they know.
func (h *hub) announce(room string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.known[room] {
		h.known[room] = true
		h.everyone.tell(news{"news", room})
	}
}

// leave removes a connection from its room. The others are told only if it was the user's
// last connection there.
func (h *hub) leave(c *client) {
	r := c.room
	if r == nil {
		return
	}
	c.room = nil
	r.leave(c.to)
	delete(h.known, r.name) // it has read the messages so far
	if r.present[c.user]--; r.present[c.user] == 0 {
		delete(r.present, c.user)
		r.tell(people{"people", r.name, r.people()})
	}
}

func (h *hub) find(name string) *room {
	i := slices.IndexFunc(h.rooms, func(r *room) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return h.rooms[i]
}

// add creates a room. If there are too many, it replaces the oldest empty room that is not
// one of firstRooms; if every other room is occupied, add returns nil.
func (h *hub) add(name string) *room {
	if len(h.rooms) == maxRooms {
		i := slices.IndexFunc(h.rooms, func(r *room) bool {
			return len(r.present) == 0 && !slices.Contains(firstRooms, r.name)
		})
		if i < 0 {
			return nil
		}
		delete(h.known, h.rooms[i].name)
		h.rooms = slices.Delete(h.rooms, i, i+1)
	}
	r := &room{name: name, present: map[string]int{}, history: []post{}}
	h.rooms = append(h.rooms, r)
	return r
}

func (h *hub) names() []string {
	names := make([]string, len(h.rooms))
	for i, r := range h.rooms {
		names[i] = r.name
	}
	return names
}

func (h *hub) latest() map[string]int64 {
	latest := map[string]int64{}
	for _, r := range h.rooms {
		if n := len(r.history); n > 0 {
			latest[r.name] = r.history[n-1].ID
		}
	}
	return latest
}

func (r *room) people() []string { return slices.Sorted(maps.Keys(r.present)) }
