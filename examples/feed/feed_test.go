package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// logBook is a log that a test reads while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startFeed serves a feed over real TLS; the test publishes its messages.
func startFeed(t *testing.T) (f *feed, srv *httptest.Server, log *logBook) {
	t.Helper()
	f, log = new(feed), &logBook{}
	srv = httptest.NewUnstartedServer(nil)
	handler, registry, err := routes("https://"+srv.Listener.Addr().String(), f, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = handler
	srv.StartTLS()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := registry.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return f, srv, log
}

func dial(t *testing.T, srv *httptest.Server, client *http.Client) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), srv.URL+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	return c
}

// numbered is a message of 16 KiB that begins with its number in ASCII-safe bytes.
func numbered(n uint32) []byte {
	p := bytes.Repeat([]byte("."), 16<<10)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	for i, x := range b {
		p[2*i], p[2*i+1] = 'a'+x>>4, 'a'+x&15
	}
	return p
}

// One client stops reading: it is cut with 1013, and no other client misses a message.
func TestSlowClientDelaysNobody(t *testing.T) {
	const fast = 20
	f, srv, log := startFeed(t)
	received := make(chan struct{}, fast)
	for range fast {
		c := dial(t, srv, srv.Client())
		go func() {
			for n := uint32(0); ; n++ {
				_, p, err := c.Read(t.Context())
				if err != nil {
					return
				}
				if !bytes.Equal(p, numbered(n)) {
					t.Errorf("message %d: got %.8q", n, p)
				}
				received <- struct{}{}
			}
		}()
	}
	slow := dial(t, srv, smallWindow(srv))
	defer func() { _ = slow.CloseNow() }()
	eventually(t, func() bool { return f.subscribers.Len() == fast+1 })

	deadline := time.Now().Add(time.Minute)
	for n := uint32(0); f.subscribers.Len() > fast; n++ {
		if time.Now().After(deadline) {
			t.Fatalf("the slow client is still there after %d messages", n)
		}
		f.publish(numbered(n))
		for range fast { // each message reaches every reader before the next is made
			select {
			case <-received:
			case <-time.After(time.Minute):
				t.Fatalf("message %d has not reached every client", n)
			}
		}
	}
	eventually(t, func() bool { return strings.Contains(log.String(), "code=1013 reason=slow") })
	if n := strings.Count(log.String(), "reason=slow"); n != 1 {
		t.Errorf("%d clients were cut as slow, want the one", n)
	}
}

// smallWindow is a client with a small receive buffer, so that the server soon notices that
// it does not read.
func smallWindow(srv *httptest.Server) *http.Client {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4096)
		}
		return c, err
	}
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// eventually asks until the answer is yes, yielding in between.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it has not come to pass in 30 s")
		}
	}
}

// RFC 6455 §7.4.1: 1003 is for data that cannot be accepted. The feed takes none.
func TestFeedTakesNothing(t *testing.T) {
	_, srv, _ := startFeed(t)
	c := dial(t, srv, srv.Client())
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != 1003 {
		t.Errorf("close code %d, want 1003: %v", got, err)
	}
}

func TestForeignPageIsRefused(t *testing.T) {
	_, srv, _ := startFeed(t)
	_, answer, err := websocket.Dial(t.Context(), srv.URL+"/ws", &websocket.DialOptions{
		HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("got %v, %v; want 403", answer, err)
	}
}

func TestRunTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer stop()
		new(feed).run(ctx, time.Second) // returns when ctx ends
		if ctx.Err() == nil {
			t.Error("run returned before its context ended")
		}
	})
}
