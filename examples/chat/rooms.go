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

	mu       sync.Mutex
	rooms    []*room // in the order of creation
	everyone crowd
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
	h := &hub{refuses: refuses}
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
	c.send(encode(welcome{"welcome", user, h.names()}))
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
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.room == nil {
		c.send(encode(refused{"refused", "not_in_a_room"}))
		return
	}
	h.lastID++
	p := post{h.lastID, c.user, time.Now().UTC().Truncate(time.Millisecond), text}
	if len(c.room.history) == maxHistory {
		c.room.history = slices.Delete(c.room.history, 0, 1)
	}
	c.room.history = append(c.room.history, p)
	c.room.tell(said{"said", c.room.name, p})
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

func (r *room) people() []string { return slices.Sorted(maps.Keys(r.present)) }
