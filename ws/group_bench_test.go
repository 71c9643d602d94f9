package ws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// recording is a listener that keeps the connections that it has accepted.
type recording struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (l *recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	return c, err
}

// audience is a group of clients in another process, which report each frame that all of them have got.
type audience struct {
	group   ws.Group
	conns   []net.Conn     // the server's ends
	stalled chan *ws.Conn  // a member that does not read
	reports *bufio.Scanner // "done": every client has got a frame
}

const audienceClients = "SECUREWS_TEST_AUDIENCE" // address, number, size of a frame

// TestAudienceClients is not a test: it is the other process of the benchmark below.
func TestAudienceClients(t *testing.T) {
	args := strings.Fields(os.Getenv(audienceClients))
	if len(args) == 0 {
		t.Skip("the other process of BenchmarkGroup")
	}
	count, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	for range count {
		w := dialNamed(t, args[0], "reads")
		go func() {
			p := make([]byte, 4<<10)
			for {
				n, err := w.Read(p)
				if err != nil {
					return
				}
				if sum := got.Add(int64(n)); (sum-int64(n))/(count*size) != sum/(count*size) {
					fmt.Println("done")
				}
			}
		}()
	}
	dialNamed(t, args[0], "stalls")
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the other process has measured
}

func dialNamed(t testing.TB, addr, name string) net.Conn {
	t.Helper()
	c := upgraded(t, dialTCP(t, addr), "X-User: "+name)
	return c.Conn
}

func newAudience(b *testing.B, count, frame int) *audience {
	b.Helper()
	a := &audience{stalled: make(chan *ws.Conn, 1)}
	h := guarded(b, slog.DiscardHandler, ws.Config{
		Live:     registry(b, live.Config{Limits: live.Limits{Connections: 2 * count, PerPrincipal: count, PerAddress: 2 * count}}),
		Timeouts: ws.Timeouts{Heartbeat: time.Hour, Write: time.Hour, Pong: time.Hour},
		Serve: func(_ context.Context, c *ws.Conn) error {
			if c.Principal().Subject == "stalls" {
				a.stalled <- c
			} else {
				a.group.Join(c)
			}
			return c.PushOnly()
		},
	})
	srv := httptest.NewUnstartedServer(h)
	l := &recording{Listener: srv.Listener}
	srv.Listener = l
	srv.Start()
	clients := startClients(b, "TestAudienceClients", fmt.Sprintf("%s=%s %d %d", audienceClients, srv.Listener.Addr(), count, frame))
	b.Cleanup(func() {
		_ = clients.end()
		for _, c := range l.conns {
			_ = c.Close()
		}
		srv.Close()
	})
	a.reports = bufio.NewScanner(clients.out)
	a.wait(b, "connected")
	a.conns = l.conns[:count]
	return a
}

func (a *audience) wait(b *testing.B, report string) {
	b.Helper()
	for a.reports.Scan() {
		if a.reports.Text() == report {
			return
		}
	}
	b.Fatalf("the clients have not reported %q", report)
}

// BenchmarkGroup sends to 10,000 clients in another process, and compares with the bare loop that
// writes the finished frame to each connection: the times until the last client has it, in turn, so
// that both have the same machine. The ratio of their medians is at most 1.1, also if a member does
// not read.
func BenchmarkGroup(b *testing.B) {
	const count, size = 10_000, 125
	frame := append([]byte{0x82, size}, make([]byte, size)...)
	a := newAudience(b, count, len(frame))
	send := func() {
		if taken, err := a.group.Send(websocket.MessageBinary, frame[2:]); taken < count || err != nil {
			b.Fatalf("taken by %d, %v", taken, err)
		}
	}
	loop := func() {
		for _, c := range a.conns {
			if _, err := c.Write(frame); err != nil {
				b.Fatal(err)
			}
		}
	}
	timed := func(round func()) time.Duration {
		begun := time.Now()
		round()
		a.wait(b, "done")
		return time.Since(begun)
	}
	for _, name := range []string{"every member reads", "one does not read"} {
		b.Run(name, func(b *testing.B) {
			if name == "one does not read" {
				c := <-a.stalled
				go c.Write(websocket.MessageBinary, make([]byte, 64<<20)) //nolint:errcheck // it fails at the end
				a.group.Join(c)
				a.stalled <- c
			}
			var sends, loops []time.Duration
			timed(send)
			timed(loop)
			for b.Loop() {
				sends, loops = append(sends, timed(send)), append(loops, timed(loop))
			}
			slices.Sort(sends)
			slices.Sort(loops)
			s, l := sends[len(sends)/2], loops[len(loops)/2]
			ratio := float64(s) / float64(l)
			b.ReportMetric(float64(s.Milliseconds()), "ms/Send")
			b.ReportMetric(float64(l.Milliseconds()), "ms/loop")
			b.ReportMetric(ratio, "x")
			if len(sends) >= 20 && ratio > 1.1 {
				b.Errorf("Send takes %.2f times as long as the bare loop: %v and %v", ratio, s, l)
			}
		})
	}
}

// Send to a group: less than 0.1 allocations a member.
func TestGroupAllocatesLittle(t *testing.T) {
	skipUnderRace(t)
	const count, size = 1000, 125
	var g ws.Group
	var got atomic.Int64
	joined, arrived := make(chan struct{}, count), make(chan struct{}, 1)
	_, l := plainNode(t, live.Config{}, ws.Config{
		Timeouts: ws.Timeouts{Heartbeat: time.Hour, Pong: time.Hour},
		Serve: func(_ context.Context, c *ws.Conn) error {
			g.Join(c)
			joined <- struct{}{}
			return c.PushOnly()
		},
	})
	for range count {
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := upgraded(t, conn)
		go func() {
			p := make([]byte, 1<<10)
			for {
				n, err := c.r.Read(p)
				if err != nil {
					return
				}
				if got.Add(int64(n))%(count*(2+size)) == 0 {
					arrived <- struct{}{}
				}
			}
		}()
	}
	for range count {
		<-joined
	}
	p := make([]byte, size)
	n := testing.AllocsPerRun(50, func() {
		if taken, err := g.Send(websocket.MessageBinary, p); taken != count || err != nil {
			t.Errorf("taken by %d, %v", taken, err)
		}
		<-arrived
	})
	t.Logf("%v allocations a member", n/count)
	if n/count >= 0.1 {
		t.Errorf("%v allocations a member, want fewer than 0.1", n/count)
	}
}
