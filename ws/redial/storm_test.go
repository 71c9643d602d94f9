package redial_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// histogram counts what happens in each second since begin.
type histogram struct {
	mu      sync.Mutex
	from    time.Time
	seconds []int
	total   int
}

func (h *histogram) add() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.from.IsZero() {
		return
	}
	s := int(time.Since(h.from) / time.Second)
	for len(h.seconds) <= s {
		h.seconds = append(h.seconds, 0)
	}
	h.seconds[s]++
	h.total++
}

func (h *histogram) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from = time.Now()
}

// result holds the counts.
func (h *histogram) result() *histogram {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &histogram{seconds: slices.Clone(h.seconds), total: h.total}
}

// span is the seconds between the first that counts and the last.
func (h *histogram) span() []int {
	first := 0
	for first < len(h.seconds) && h.seconds[first] == 0 {
		first++
	}
	return h.seconds[first:]
}

func (h *histogram) peak() (n int) {
	for _, s := range h.seconds {
		n = max(n, s)
	}
	return n
}

func (h *histogram) String() string {
	var b strings.Builder
	for i, n := range h.seconds {
		fmt.Fprintf(&b, "\n%3d s %5d %s", i, n, strings.Repeat("#", n*60/max(h.peak(), 1)))
	}
	return b.String()
}

// crowd is many clients of one server, which can be stopped and restarted.
type crowd struct {
	t        *testing.T
	listener atomic.Pointer[wstest.Listener] // nil: the server is down
	registry *live.Registry
	server   *http.Server
	back     *histogram // connections since restart
	served   atomic.Int64
	cancel   context.CancelFunc
	clients  sync.WaitGroup
}

// gather connects n clients, over plain connections in memory, without the cost of TLS.
func gather(t *testing.T, n int) *crowd {
	c := &crowd{t: t, back: &histogram{}}
	c.up()
	transport := &http.Transport{DialContext: c.dial}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for range n {
		client, err := redial.New(redial.Config{
			URL: "ws://localhost/ws", DangerouslyAllowLocalHTTP: true, HTTPClient: &http.Client{Transport: transport},
		})
		must(t, err)
		c.clients.Go(func() { _ = client.Run(ctx, listen) })
	}
	time.Sleep(time.Minute)
	if got := c.served.Load(); got != int64(n) {
		t.Fatalf("%d connected, want %d", got, n)
	}
	return c
}

func (c *crowd) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l := c.listener.Load()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	return l.Dial(ctx)
}

// up starts another server.
func (c *crowd) up() {
	registry, err := live.New(live.Config{Limits: live.Limits{PerAddress: 10_000}})
	must(c.t, err)
	h := handler(c.t, ws.Config{Live: registry, DangerouslyAllowPlaintext: true, Serve: func(_ context.Context, conn *ws.Conn) error {
		c.served.Add(1)
		c.back.add()
		return conn.PushOnly()
	}})
	c.registry, c.server = registry, &http.Server{Handler: h}
	l, s := wstest.NewListener(), c.server
	go func() { _ = s.Serve(l) }()
	c.listener.Store(l)
}

// kill ends the server as SIGKILL does: every connection at once, without a close frame.
func (c *crowd) kill() {
	l := c.listener.Swap(nil)
	_ = c.server.Close()
	for _, conn := range l.Conns() {
		_ = conn.Close()
	}
}

func (c *crowd) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(c.t, c.registry.Shutdown(ctx))
	_ = c.server.Close()
}

func (c *crowd) disperse() {
	c.cancel()
	c.clients.Wait()
	c.drain()
}

// Row 28 and show 2: no second sees more than three times the mean, nor more than a
// fifth of all.
func TestRestartSpreadsReconnects(t *testing.T) {
	restarts := map[string]func(c *crowd){
		"drained, the next node is there": func(c *crowd) {
			old := &crowd{t: c.t, registry: c.registry, server: c.server}
			c.up() // new connections go there while the old node drains
			old.drain()
		},
		"killed, back at once": func(c *crowd) {
			c.kill()
			c.up()
		},
		"killed, back after 20 s": func(c *crowd) {
			c.kill()
			time.Sleep(20 * time.Second)
			c.up()
		},
	}
	for name, restart := range restarts {
		for _, n := range []int{1000, 5000} {
			t.Run(fmt.Sprint(name, ", ", n), func(t *testing.T) {
				if n > 1000 && (testing.Short() || raceDetector) {
					t.Skip("5000 clients take a while")
				}
				synctest.Test(t, func(t *testing.T) {
					c := gather(t, n)
					c.back.begin()
					restart(c)
					time.Sleep(2 * time.Minute)
					h := c.back.result()
					span := len(h.span())
					mean := float64(h.total) / float64(span)
					t.Logf("%d clients, %d back within %d s: mean %.0f a second, peak %d = %.2f x mean = %.1f %%%v",
						n, h.total, len(h.seconds), mean, h.peak(), float64(h.peak())/mean, 100*float64(h.peak())/float64(n), h)
					if h.total != n {
						t.Errorf("%d came back, want %d, once each", h.total, n)
					}
					if float64(h.peak()) > 3*mean || h.peak() > n/5 {
						t.Errorf("a second has %d; want at most 3 x %.0f and %d", h.peak(), mean, n/5)
					}
					c.disperse()
				})
			})
		}
	}
}
