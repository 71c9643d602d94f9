package ws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// modem is a connection that takes so many bytes a second, without a pause.
type modem struct {
	net.Conn
	rate, n int
	start   time.Time
}

func (c *modem) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), 1024)])
	c.n += n
	time.Sleep(time.Until(c.start.Add(time.Duration(c.n) * time.Second / time.Duration(c.rate))))
	return n, err
}

// A snapshot of 1 MiB over a link of 50 kB/s takes 21 s. Its reader never pauses: it is not
// a slow consumer.
func TestLargeMessageArrivesOverASlowLink(t *testing.T) {
	const size, rate = 1 << 20, 50_000
	for name, say := range map[string]func(*ws.Conn) error{
		"Write": func(c *ws.Conn) error { return c.Write(websocket.MessageBinary, make([]byte, size)) },
		"Send":  func(c *ws.Conn) error { return c.Send(websocket.MessageBinary, make([]byte, size)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				_, l := plainNode(t, live.Config{}, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
					err := say(c)
					ended <- err
					return err
				}})
				conn, err := l.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				c := upgraded(t, &modem{Conn: conn, rate: rate, start: begun})
				code, reason, got := c.closed()
				if code != 1000 || len(got) != 1 || len(got[0]) != size {
					t.Errorf("%d messages, then %d %q; want one of %d bytes, then 1000", len(got), code, reason, size)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took < size/rate*time.Second {
					t.Errorf("took %v: the link is not slow", took)
				}
			})
		})
	}
}

// lingering is a listener whose connections tell what SO_LINGER was set to.
type lingering struct {
	net.Listener
	set chan int
}

type lingeringConn struct {
	net.Conn
	set chan int
}

func (l lingering) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lingeringConn{c, l.set}, nil
}

func (c lingeringConn) SetLinger(sec int) error {
	c.set <- sec
	return nil
}

// fill queues messages until the peer, which reads nothing, has no room for more.
func fill(_ context.Context, c *ws.Conn) error {
	for range 12 {
		if err := c.Send(websocket.MessageBinary, make([]byte, 64<<10)); err != nil {
			return err
		}
	}
	return c.PushOnly()
}

// Bytes that wait in the kernel for a peer that does not read, or may not any more, do not
// stay there: the connection is reset (SO_LINGER 0). One that ends in good order is not.
func TestSlowAndRevokedPeersAreReset(t *testing.T) {
	overflow := func(ctx context.Context, c *ws.Conn) error {
		for ctx.Err() == nil {
			if err := c.Send(websocket.MessageBinary, make([]byte, 64<<10)); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	}
	stall := func(_ context.Context, c *ws.Conn) error {
		return c.Write(websocket.MessageBinary, make([]byte, 1<<20))
	}
	endsWith := func(cause error) func(context.Context, *ws.Conn) error {
		return func(_ context.Context, c *ws.Conn) error {
			return errors.Join(c.Send(websocket.MessageBinary, make([]byte, 64)), cause)
		}
	}
	for _, tt := range []struct {
		sentence string
		serve    func(context.Context, *ws.Conn) error
		revoke   bool // when Serve waits or has returned
		reset    bool
		latest   time.Duration
	}{
		{sentence: "a queue that overflows", serve: overflow, reset: true, latest: 5 * time.Second},
		{sentence: "a write without progress", serve: stall, reset: true, latest: 11 * time.Second},
		{sentence: "a revocation, with a full queue", serve: fill, revoke: true, reset: true, latest: 5 * time.Second},
		{sentence: "forbidden", serve: endsWith(ws.ErrForbidden), reset: true, latest: 5 * time.Second},
		{sentence: "expired", serve: endsWith(ws.ErrExpired), latest: 5 * time.Second},
		{sentence: "expired, and then revoked", serve: endsWith(ws.ErrExpired), revoke: true, reset: true, latest: 5 * time.Second},
		{sentence: "an end in good order", serve: func(context.Context, *ws.Conn) error { return nil }, latest: 5 * time.Second},
	} {
		for _, secured := range []bool{false, true} {
			t.Run(tt.sentence+map[bool]string{true: ", TLS"}[secured], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					list := middleware.NewRevocations()
					n := serveLingering(t, secured, ws.Config{
						Auth: revokedBy(t, list), Serve: tt.serve,
						DangerouslyAllowPlaintext: !secured,
					})
					synctest.Wait()
					if tt.revoke {
						revoke(t, list, middleware.Revocation{SessionHandle: "s-ann"})
					}
					begun := time.Now()
					shutdown(t.Context(), t, n.live) // returns when the connection has left
					if took := time.Since(begun); took > tt.latest {
						t.Errorf("gone after %v, want at most %v", took, tt.latest)
					}
					select {
					case sec := <-n.set:
						if sec != 0 || !tt.reset {
							t.Errorf("SO_LINGER is set to %d", sec)
						}
					default:
						if tt.reset {
							t.Error("it is not reset")
						}
					}
				})
			})
		}
	}
}

type lingeringNode struct {
	live *live.Registry
	set  chan int
}

// serveLingering serves ann's connection, which reads nothing but the 101.
func serveLingering(t *testing.T, secured bool, cfg ws.Config) lingeringNode {
	t.Helper()
	// the shutdown ends none before its own cause
	n := lingeringNode{registry(t, live.Config{Timeouts: live.Timeouts{Spread: 80_000 * time.Hour}}), make(chan int, 8)}
	cfg.Live = n.live
	srv := quiet(handler(t, cfg))
	if secured {
		s := *wstest.Start(t, srv) // for its certificate
		s.Listener = wstest.NewListener()
		go func() { _ = srv.ServeTLS(lingering{s.Listener, n.set}, "", "") }()
		upgraded(t, secure(t, &s), "X-User: ann")
		return n
	}
	l := wstest.NewListener()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lingering{l, n.set}) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	if _, res := open(t, l, "X-User: ann"); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	return n
}

// A Serve that does not return after its connection has ended is reported once, 10 s later,
// and Shutdown says how many there are.
func TestServeThatNeverReturnsIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		log := &logs{}
		stuck := make(chan live.Event, 4)
		list := middleware.NewRevocations()
		of := live.Config{Log: log.logger(), Events: func(e live.Event) {
			if e.Kind == live.Stuck {
				stuck <- e
			}
		}}
		n := startLive(t, live.Config{}, ws.Config{
			Live: registry(t, of), Auth: revokedBy(t, list), Serve: func(context.Context, *ws.Conn) error { <-release; return nil },
		})
		go ending(n.connect("ann"))
		time.Sleep(time.Minute)
		revoke(t, list, middleware.Revocation{SessionHandle: "s-ann"})
		time.Sleep(9900 * time.Millisecond)
		if s := log.String(); s != "" {
			t.Errorf("reported too early:\n%s", s)
		}
		time.Sleep(600 * time.Millisecond)
		if e := <-stuck; e.Principal.Subject != "ann" || e.Lasted < time.Minute {
			t.Errorf("got %+v", e)
		}
		time.Sleep(time.Hour)
		if s := log.String(); len(stuck) > 0 || strings.Count(s, "\n") != 1 {
			t.Errorf("want one line:\n%s", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := n.live.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		close(release)
	})
}
