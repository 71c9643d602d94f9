package wstest_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws/wstest"
)

func TestListenerRefusesAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wstest.NewListener()
		accepted := make(chan error)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		time.Sleep(time.Hour)
		must(t, l.Close())
		must(t, l.Close())
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want net.ErrClosed", err)
		}
		if _, err := l.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial: %v, want ECONNREFUSED", err)
		}
	})
}

func TestDialWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wstest.NewListener()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := l.DialContext(ctx, "tcp", "app.example:443"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		if n := len(l.Conns()); n != 0 {
			t.Errorf("%d connections, want none", n)
		}
	})
}

func TestConnsAreThoseStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wstest.NewListener()
		var ends []net.Conn
		for range 3 {
			go func() {
				c, err := l.Dial(t.Context())
				must(t, err)
				ends = append(ends, c)
			}()
			c, err := l.Accept()
			must(t, err)
			synctest.Wait()
			ends = append(ends, c)
		}
		for _, c := range ends[2:5] {
			must(t, c.Close()) // both ends of the second, one of the third
		}
		got := l.Conns()
		if len(got) != 2 || net.Conn(got[0]) != ends[0] || net.Conn(got[1]) != ends[4] {
			t.Errorf("got %d connections, want the first and the third, by the client's ends", len(got))
		}
	})
}

func TestServerIsReachedUnderAnyNameAndAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Host+" "+r.RemoteAddr)
		}))
		other := s.ClientFrom(netip.MustParseAddr("2001:db8::7"))
		for _, tt := range []struct {
			client    *http.Client
			url, want string
		}{
			{s.Client(), wstest.URL, "app.example 192.0.2.1:49152"},
			{s.Client(), "https://evil.example:8443/x", "evil.example:8443 192.0.2.1:49153"},
			{s.Client(), "https://192.0.2.80", "192.0.2.80 192.0.2.1:49154"},
			{other, wstest.URL, "app.example [2001:db8::7]:49155"},
		} {
			if got := get(t, tt.client, tt.url); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
			}
		}
		time.Sleep(365 * 24 * time.Hour) // certificates do not age with the bubble
		s.Client().CloseIdleConnections()
		_ = get(t, s.Client(), wstest.URL)
	})
}

func TestStartKeepsTheServersLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.Start(t, &http.Server{ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)})
		start := time.Now()
		c, err := s.Listener.Dial(t.Context())
		must(t, err)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a client that says nothing: %v, want EOF", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("cut after %v, want 5s", took)
		}
	})
}

// beat is a server of one socket: heartbeats every 25 s, 10 s for the pong.
func beat(t *testing.T, pings *int, ended chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			defer cancel()
			for tick := time.Tick(25 * time.Second); ; *pings++ {
				select {
				case <-tick:
				case <-ctx.Done():
					return
				}
				pong, stop := context.WithTimeout(ctx, 10*time.Second)
				err := c.Ping(pong)
				stop()
				if err != nil {
					return
				}
			}
		}()
		for err == nil {
			var kind websocket.MessageType
			var data []byte
			if kind, data, err = c.Read(ctx); err == nil {
				err = c.Write(ctx, kind, data)
			}
		}
		ended <- err
	})
}

func TestWebSocketEchoAndAnHourOfHeartbeats(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var pings int
		ended := make(chan error, 1)
		s := wstest.NewServer(t, beat(t, &pings, ended))
		c, _, err := s.Dial(t.Context(), "/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		must(t, c.Write(t.Context(), websocket.MessageText, []byte("hello")))
		if _, got, err := c.Read(t.Context()); string(got) != "hello" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		ctx := c.CloseRead(t.Context())
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if pings != 144 || ctx.Err() != nil {
			t.Errorf("%d heartbeats in an hour, want 144; %v", pings, ctx.Err())
		}
		must(t, c.Close(websocket.StatusNormalClosure, "bye"))
		if got := websocket.CloseStatus(<-ended); got != 1000 { // RFC 6455 §7.4.1
			t.Errorf("the server saw close %d, want 1000", got)
		}
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("an hour took %v", took)
	}
}

func TestPeerThatStopsReadingMissesItsPong(t *testing.T) {
	deaf := func(*wstest.Server) {}
	gone := func(s *wstest.Server) { s.Listener.Conns()[0].Blackhole() }
	for name, silence := range map[string]func(*wstest.Server){"deaf": deaf, "gone": gone} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pings int
				ended := make(chan error, 1)
				s := wstest.NewServer(t, beat(t, &pings, ended))
				_, _, err := s.Dial(t.Context(), "/ws", nil)
				must(t, err)
				silence(s)
				start := time.Now()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("ended by %v", err)
				}
				if took := time.Since(start); took < 35*time.Second || took > 40*time.Second {
					t.Errorf("cut after %v, want 25s + 10s and what coder waits for a close", took)
				}
			})
		})
	}
}

func TestSocketsLeftOpenAreCutWhenTheTestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		t.Cleanup(func() { // after the server's own
			if err := <-ended; err == nil {
				t.Error("the socket still reads")
			}
		})
		s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			must(t, err)
			_, _, err = c.Read(context.Background())
			ended <- err
		}))
		_, _, err := s.Dial(t.Context(), "/ws", nil)
		must(t, err)
	})
}

// An address in place of a path would be a request for another host.
func TestDialTakesAPath(t *testing.T) {
	s := wstest.NewServer(t, http.NotFoundHandler())
	for _, address := range []string{wstest.URL + "/ws", "wss://app.example/ws", "ws"} {
		c, answer, err := s.Dial(t.Context(), address, nil)
		if c != nil || answer != nil || err == nil || !strings.Contains(err.Error(), "write one that begins with /") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestDialReturnsARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewServer(t, http.NotFoundHandler())
		_, resp, err := s.Dial(t.Context(), "/ws", &websocket.DialOptions{HTTPClient: s.ClientFrom(netip.IPv6Loopback())})
		if err == nil || resp == nil || resp.StatusCode != 404 {
			t.Fatalf("got %v, %v; want 404 and an error", resp, err)
		}
		if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), "not found") {
			t.Errorf("body %q", body)
		}
	})
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(body)
}
