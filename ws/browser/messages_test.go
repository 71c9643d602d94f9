package browser_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/ws"
)

// numbered is the N-th message of a connection or, from the client, of all of them.
type numbered struct {
	Conn, N int64
	Heard   int64 // from the client on this connection
}

// inOrder checks that within a connection each message has the next number. With a new
// connection numbers start again, or continue with some missing.
func inOrder(t *testing.T, who string, anew bool, heard []numbered) {
	t.Helper()
	last := numbered{Conn: 1, N: -1}
	for _, m := range heard {
		next := m.N == last.N+1
		if m.Conn != last.Conn {
			next = m.Conn > last.Conn && (anew && m.N == 0 || !anew && m.N > last.N)
		}
		if !next {
			t.Fatalf("%s heard %+v after %+v", who, m, last)
		}
		last = m
	}
	t.Logf("%s heard %d messages over %d connections", who, len(heard), last.Conn)
}

// numbers sends its own numbers on every connection, and records those of the client.
type numbers struct {
	conns atomic.Int64
	mu    sync.Mutex
	heard []numbered
}

func (n *numbers) serve(ctx context.Context, c *ws.Conn) error {
	conn := n.conns.Add(1)
	var heard atomic.Int64
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := int64(0); c.WriteJSON(numbered{conn, i, heard.Load()}) == nil; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		m := numbered{Conn: conn}
		if err := c.ReadJSON(&m.N); err != nil {
			return err
		}
		n.mu.Lock()
		n.heard = append(n.heard, m)
		n.mu.Unlock()
		heard.Add(1)
	}
}

func (n *numbers) all() []numbered {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.heard)
}

// Both ends number their messages while the server restarts three times. When it stays down,
// the client reports the messages that it could not send.
func TestMessagesInOrderOnceOrReported(t *testing.T) {
	for where, run := range map[string]func(*site, options) *page{
		"Node": func(s *site, o options) *page {
			s.start()
			return s.dial(o)
		},
		"Chromium": func(s *site, o options) *page { return s.browse(chromium, o) },
	} {
		t.Run(where, func(t *testing.T) {
			var n numbers
			s := newSite(t, ws.Config{
				Limits: ws.Limits{MessagesPerSecond: 10_000},
				Serve:  n.serve,
			})
			p := run(s, options{"queue": options{"messages": 10_000, "bytes": 50_000}})
			p.do(options{"count": true})
			for i := range 4 {
				if i > 0 {
					s.drain()
					s.start()
				}
				p.state("open")
				p.until("messages both ways", func(l line) bool {
					return l.Message != nil && l.number(t).N >= 100 && l.number(t).Heard >= 50
				})
			}
			p.do(options{"count": false})
			s.kill()
			p.state("waiting")

			p.do(options{"send": "waits"})
			p.do(options{"send": strings.Repeat("x", 50_001)})
			if l := p.until("undelivered", func(l line) bool { return l.Undelivered != nil && l.Why != "unconfirmed" }); l.Why != "full" ||
				len(*l.Undelivered) != 50_001 {
				t.Errorf("%d bytes undelivered: %s; want 50001, full", len(*l.Undelivered), l.Why)
			}
			p.do(options{"close": true})
			p.until("what waited", func(l line) bool { return l.Undelivered != nil && *l.Undelivered == "waits" && l.Why == "closed" })
			p.end()

			var heard []numbered
			for _, l := range p.all {
				if l.Message != nil {
					heard = append(heard, l.number(t))
				}
			}
			inOrder(t, "the client", true, heard)
			inOrder(t, "the server", false, n.all())
			if n := n.conns.Load(); n != 4 {
				t.Errorf("%d connections, want 4", n)
			}
			s.alone()
		})
	}
}

func (l line) number(t *testing.T) (n numbered) {
	t.Helper()
	if err := json.Unmarshal([]byte(*l.Message), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
