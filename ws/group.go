package ws

import (
	"fmt"
	"slices"
	"sync"

	"github.com/coder/websocket"
)

// Group sends one message to many connections, its members. The zero value is an empty group,
// ready to use. It is safe for concurrent use, runs no goroutine of its own, and must not be
// copied. A connection may be a member of any number of groups, of any handler.
//
// A member leaves when its connection ends, for whatever cause, or when its Serve returns. So a
// Serve that joins need not leave, and a group keeps no connection whose credential has ended.
//
// A Group is for connections of one process, and not for sealed ones (package seal): each of those has
// its own keys, so that no frame is the same for two.
type Group struct {
	turn sync.Mutex // of the Send under way

	mu      sync.Mutex
	at      map[*outbound]int // the index of each member in members
	members []*outbound       // nil: one that has left during a Send
	sending bool
}

// Join makes c a member, unless it has ended; it gets every message of which Send is called
// later. A second Join changes nothing.
func (g *Group) Join(c *Conn) { c.out.groups.join(g, &c.out) }

// Leave ends the membership of c, if it is a member. A Send that is under way may still
// reach it.
func (g *Group) Leave(c *Conn) { c.out.groups.leave(g, &c.out) }

// Len returns how many members there are.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.at)
}

// Send queues a message for each member, as [Conn.Send] does, and never waits for one. It returns
// how many have taken it. Those whose queues are full are closed with 1013 `slow`, and no other
// member notices. The frame is made once, for all, and p may be used again when Send returns. All
// members get the messages of concurrent calls in one order.
//
// A message that is neither text nor binary, or text that is not UTF-8, is an error, and no member
// gets it. If it is larger than Limits.QueueBytes of some members, the others get it, and the error
// says so.
func (g *Group) Send(typ websocket.MessageType, p []byte) (taken int, err error) {
	if err := checkMessage(typ, p); err != nil {
		return 0, err
	}
	f := &frame{b: make([]byte, 0, maxHeader+len(p)), payload: len(p)}
	f.b = append(appendHeader(f.b, byte(typ), len(p)), p...)
	g.turn.Lock()
	defer g.turn.Unlock()
	count := g.begin()
	defer g.done()
	larger := 0
	for from := 0; from < count; from += chunk {
		t, l := g.sendChunk(f, from, min(from+chunk, count))
		taken += t
		larger += l
	}
	if larger > 0 {
		err = fmt.Errorf("ws: group: send: %d bytes are more than Limits.QueueBytes of %d members", len(p), larger)
	}
	return taken, err
}

// chunk is how many members are looked at under one lock.
const chunk = 128

// sendChunk queues f for the members from one place in the list to another. It returns how many have
// taken it, and how many could never take it.
func (g *Group) sendChunk(f *frame, from, to int) (taken, larger int) {
	var members, starting [chunk]*outbound
	g.mu.Lock()
	n := copy(members[:], g.members[from:to])
	g.mu.Unlock()
	start := starting[:0]
	for _, o := range members[:n] {
		if o == nil {
			continue
		}
		switch o.sendShared(f) {
		case starts:
			start = append(start, o)
			taken++
		case follows:
			taken++
		case tooLarge:
			larger++
		}
	}
	for len(start) > 0 {
		workers, n := start[0].workers, 1
		for n < len(start) && start[n].workers == workers {
			n++
		}
		workers.senders.add(start[:n])
		start = start[n:]
	}
	return taken, larger
}

// begin returns how many places of members are to be looked at.
func (g *Group) begin() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sending = true
	return len(g.members)
}

// done closes the gaps of members that have left during the Send.
func (g *Group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sending = false
	if len(g.members) == len(g.at) {
		return
	}
	g.members = slices.DeleteFunc(g.members, func(o *outbound) bool { return o == nil })
	for i, o := range g.members {
		g.at[o] = i
	}
}

// add returns false if o is a member already.
func (g *Group) add(o *outbound) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.at[o]; there {
		return false
	}
	if g.at == nil {
		g.at = map[*outbound]int{}
	}
	g.at[o] = len(g.members)
	g.members = append(g.members, o)
	return true
}

// remove moves the last member to the place of o, except during a Send, which would miss it.
func (g *Group) remove(o *outbound) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.at[o]
	delete(g.at, o)
	g.members[i] = nil
	if last := len(g.members) - 1; !g.sending {
		if i != last {
			g.members[i] = g.members[last]
			g.at[g.members[i]] = i
		}
		g.members[last] = nil
		g.members = g.members[:last]
	}
}
