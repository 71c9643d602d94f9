package ws_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// joining serves connections that join the groups, and pushes to them alone.
func joining(t *testing.T, cfg ws.Config, groups ...*ws.Group) *node {
	t.Helper()
	return pushing(t, cfg, func(c *ws.Conn) error {
		for _, g := range groups {
			g.Join(c)
		}
		return c.PushOnly()
	})
}

// tell sends text to a group, and wants so many members to take it.
func tell(t *testing.T, g *ws.Group, text string, want int) {
	t.Helper()
	if taken, err := g.Send(websocket.MessageText, []byte(text)); taken != want || err != nil {
		t.Errorf("%.40q is taken by %d members, with %v; want %d", text, taken, err, want)
	}
}

func (c *raw) wantNext(want string) {
	c.t.Helper()
	if op, got, err := c.next(); op != 0x1 || got != want || err != nil {
		c.t.Fatalf("got opcode %#x, %.40q, %v; want the text %.40q", op, got, err, want)
	}
}

// A connection gets what is sent to the groups that it is in while it is in them.
func TestGroupReachesItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, both, empty ws.Group
		conns := make(chan *ws.Conn, 3)
		n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
			conns <- c
			return c.PushOnly()
		})
		var clients []*raw
		var members []*ws.Conn
		for range 3 {
			clients = append(clients, attack(t, n.Server))
			members = append(members, <-conns)
		}
		a.Join(members[0])
		for _, c := range members[:2] {
			both.Join(c)
			both.Join(c) // a second time
		}
		a.Leave(members[1]) // not a member
		empty.Leave(members[1])
		if a.Len() != 1 || both.Len() != 2 || empty.Len() != 0 {
			t.Errorf("%d, %d and %d members, want 1, 2 and 0", a.Len(), both.Len(), empty.Len())
		}
		tell(t, &a, "to one", 1)
		tell(t, &both, "to both", 2)
		tell(t, &empty, "to none", 0)
		both.Leave(members[0])
		tell(t, &both, "to the other", 1)
		a.Leave(members[0])
		both.Join(members[0])
		tell(t, &both, "to both again", 2)
		clients[0].wantNext("to one")
		clients[0].wantNext("to both")
		clients[0].wantNext("to both again")
		clients[1].wantNext("to both")
		clients[1].wantNext("to the other")
		clients[1].wantNext("to both again")
		for _, c := range members {
			_ = c.Close(4000, "done")
		}
		clients[2].wantClosed(4000, "done")
		tell(t, &both, "to none any more", 0)
	})
}

// A member gets messages of its groups and of its own in the order in which they were sent, and
// whole, whether they are copied or shared, behind others or not.
func TestGroupKeepsTheOrderOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b ws.Group
		conns := make(chan *ws.Conn, 1)
		n := pushing(t, ws.Config{Limits: ws.Limits{QueueBytes: 100 << 20, QueueMessages: 10_000}}, func(c *ws.Conn) error {
			a.Join(c)
			b.Join(c)
			conns <- c
			return c.PushOnly()
		})
		client := attack(t, n.Server)
		c := <-conns
		var want []string
		random := rand.New(rand.NewPCG(1, 2))
		sizes := []int{0, 1, 125, 126, 400, 507, 508, 509, 513, 5000, 17_000, 65_535, 65_536, 200_000}
		for round := range 40 {
			for range 1 + random.IntN(12) {
				text := strings.Repeat(string(rune('a'+random.IntN(26))), sizes[random.IntN(len(sizes))])
				switch random.IntN(3) {
				case 0:
					tell(t, &a, text, 1)
				case 1:
					tell(t, &b, text, 1)
				default:
					if err := c.Send(websocket.MessageText, []byte(text)); err != nil {
						t.Fatal(err)
					}
				}
				want = append(want, text)
				if random.IntN(4) == 0 {
					synctest.Wait() // the network takes something
				}
			}
			for round%3 == 2 && len(want) > 0 { // so that the queue is empty at times
				client.wantNext(want[0])
				want = want[1:]
			}
		}
		for _, text := range want {
			client.wantNext(text)
		}
	})
}

// All members get the messages of concurrent Sends in one order.
func TestGroupHasOneOrderForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members, senders, each = 200, 8, 25 // more than one chunk
		var g ws.Group
		n := joining(t, ws.Config{}, &g)
		var clients []*raw
		for range members {
			clients = append(clients, attack(t, n.Server))
		}
		synctest.Wait()
		var sending sync.WaitGroup
		for s := range senders {
			sending.Go(func() {
				for i := range each {
					tell(t, &g, fmt.Sprint(s, " ", i), members)
				}
			})
		}
		sending.Wait()
		var first []string
		for i, c := range clients {
			var got []string
			for range senders * each {
				_, p, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			}
			if i == 0 {
				first = got
			} else if !slices.Equal(got, first) {
				t.Fatalf("member %d has another order", i)
			}
		}
	})
}

// Members that read lose nothing to those that do not, which are closed with 1013 `slow` and leave.
func TestStalledMembersDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fast, stalled, rounds = 20, 10, 300
		var g ws.Group
		n := joining(t, ws.Config{Limits: ws.Limits{QueueBytes: 64 << 10}}, &g)
		for range stalled {
			attack(t, n.Server)
		}
		var clients []*raw
		for range fast {
			clients = append(clients, attack(t, n.Server))
		}
		synctest.Wait()
		begun := time.Now()
		for i := range rounds {
			text := fmt.Sprintf("%01024d", i)
			taken, err := g.Send(websocket.MessageText, []byte(text))
			if err != nil || taken > fast+stalled || taken < fast {
				t.Fatalf("message %d is taken by %d members, with %v", i, taken, err)
			}
			for _, c := range clients {
				c.wantNext(text)
			}
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("the members that read have waited %v, want no time", took)
		}
		if g.Len() != fast {
			t.Errorf("%d members, want the %d that read", g.Len(), fast)
		}
		<-time.After(time.Minute) // their close frames go nowhere, either
		if lines := strings.Count(n.logs.String(), "code=1013 reason=slow"); lines != stalled {
			t.Errorf("%d members are closed with 1013 slow, want %d", lines, stalled)
		}
	})
}

// Wrong messages reach no member; one that is too large for some reaches the others.
func TestGroupRefusesWhatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ws.Group
		small, large := joining(t, ws.Config{Limits: ws.Limits{QueueBytes: 10}}, &g), joining(t, ws.Config{}, &g)
		a, b := attack(t, small.Server), attack(t, large.Server)
		synctest.Wait()
		for sentence, try := range map[string]func() (int, error){
			"a type that is neither text nor binary": func() (int, error) { return g.Send(websocket.MessageType(0x8), nil) },
			"text that is not UTF-8":                 func() (int, error) { return g.Send(websocket.MessageText, []byte("\xff")) },
		} {
			if taken, err := try(); taken != 0 || err == nil {
				t.Errorf("%s: taken by %d, %v", sentence, taken, err)
			}
		}
		if taken, err := g.Send(websocket.MessageText, []byte("eleven byte")); taken != 1 || err == nil ||
			!strings.Contains(err.Error(), "of 1 members") {
			t.Errorf("a message that one member cannot hold: taken by %d, %v", taken, err)
		}
		tell(t, &g, "well", 2)
		a.wantNext("well")
		b.wantNext("eleven byte")
		b.wantNext("well")
	})
}

// The memory of p is the caller's again when Send returns.
func TestGroupCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ws.Group
		n := joining(t, ws.Config{}, &g)
		c := attack(t, n.Server)
		synctest.Wait()
		p := []byte("first")
		if _, err := g.Send(websocket.MessageText, p); err != nil {
			t.Fatal(err)
		}
		copy(p, "other")
		c.wantNext("first")
	})
}

// Connections come, join, leave and end in every way while messages are sent. A member misses no
// message between its Join and its end, gets none twice, and none after its close frame.
func TestStormOfMembers(t *testing.T) {
	t.Parallel()
	const users, rounds = 12, 25
	var g, other ws.Group
	list := middleware.NewRevocations()
	n := start(t, ws.Config{Auth: revokedBy(t, list), Serve: func(_ context.Context, c *ws.Conn) error {
		other.Join(c)
		g.Join(c)
		defer other.Leave(c)
		if strings.HasPrefix(c.Principal().Subject, "short") {
			return nil
		}
		return c.PushOnly()
	}})
	done := make(chan struct{})
	var sending sync.WaitGroup
	until := func(send func(i int) error) {
		sending.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if err := send(i); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	until(func(i int) error {
		_, err := g.Send(websocket.MessageText, fmt.Append(nil, i))
		return err
	})
	until(func(i int) error {
		_, err := other.Send(websocket.MessageBinary, make([]byte, i%2000))
		return err
	})
	var clients sync.WaitGroup
	for u := range users {
		clients.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("%s-%d-%d", []string{"revoked", "short", "leaving", "closing"}[round%4], u, round)
				c, _, err := n.try(name)
				if err != nil {
					t.Error(err)
					return
				}
				last, got := 0, 0
				for {
					typ, p, err := c.Read(context.Background())
					if err != nil {
						break
					}
					if typ != websocket.MessageText {
						continue
					}
					var number int
					if _, err := fmt.Sscan(string(p), &number); err != nil || last > 0 && number != last+1 {
						t.Errorf("%s got message %q after %d, %v", name, p, last, err)
					}
					last = number
					switch got++; {
					case got != 5:
					case round%4 == 0:
						revoke(t, list, middleware.Revocation{SessionHandle: "s-" + name})
					case round%4 == 2:
						_ = c.CloseNow()
					case round%4 == 3:
						_ = c.Close(1000, "")
					}
				}
			}
		})
	}
	clients.Wait()
	close(done)
	sending.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.live.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if g.Len()+other.Len() != 0 {
		t.Errorf("%d and %d members, want none", g.Len(), other.Len())
	}
}
