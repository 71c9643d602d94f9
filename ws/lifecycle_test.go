package ws_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

func TestServeDecidesHowAConnectionEnds(t *testing.T) {
	tests := []struct {
		name   string
		serve  func(context.Context, *ws.Conn) error
		code   websocket.StatusCode
		reason string
	}{
		{"nil is a normal end", func(context.Context, *ws.Conn) error { return nil }, 1000, ""},
		{"an error is ours, and stays with us", func(context.Context,
			*ws.Conn,
		) error {
			return errors.New("pq: password authentication failed")
		}, 1011, "internal"},
		{
			"a CloseError is sent", func(context.Context, *ws.Conn) error { return &ws.CloseError{Code: 4000, Reason: "game over"} },
			4000, "game over",
		},
		{"one that may not be sent is not", func(context.Context, *ws.Conn) error { return &ws.CloseError{Code: 1015} }, 1011, "internal"},
		{"a panic is contained", func(context.Context, *ws.Conn) error { panic("secret payload") }, 1011, "internal"},
		{
			"Close wins over what follows", func(_ context.Context, c *ws.Conn) error { _ = c.Close(4002, "kicked"); return nil },
			4002, "kicked",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Serve: tt.serve})
				wantEnding(t, n.connect("ann"), tt.code, tt.reason, 0, 0)
			})
		})
	}
}

// ASVS 16.5.4.
func TestPanicHarmsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Limits: live.Limits{Connections: 2}}, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			if c.Principal().Subject == "eve" {
				_, p, err := c.Read()
				if err == nil {
					panic(string(p))
				}
				return err
			}
			return echo(ctx, c)
		}})
		ann := n.connect("ann")
		for range 3 { // the place is given back each time
			eve := n.connect("eve")
			if err := eve.Write(t.Context(), websocket.MessageText, []byte("hunter2")); err != nil {
				t.Fatal(err)
			}
			wantEnding(t, eve, 1011, "internal", 0, 0)
			synctest.Wait()
		}
		if err := ann.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := ann.Read(t.Context()); err != nil || string(p) != "still here" {
			t.Errorf("read %q, %v", p, err)
		}
		if s := n.logs.String(); strings.Count(s, "stack=") != 3 || strings.Contains(s, "hunter2") {
			t.Errorf("want three stacks and no payload:\n%s", s)
		}
	})
}

// The close handshake may stall, the connection may not.
func TestPeerThatNeverAnswersTheCloseIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(context.Context, *ws.Conn) error { return nil }})
		begun := time.Now()
		n.connect("ann") // never reads
		synctest.Wait()
		n.shutdown()
		if d := time.Since(begun); d < time.Second || d > 5*time.Second {
			t.Errorf("gone after %v, want about 2 s", d)
		}
	})
}

// One stalled reader is cut and the others lose nothing.
func TestSlowConsumerIsCutAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		hub := map[string]*ws.Conn{}
		slow := make(chan error, 1)
		n := start(t, ws.Config{Serve: func(ctx context.Context, c *ws.Conn) error {
			mu.Lock()
			hub[c.Principal().Subject] = c
			mu.Unlock()
			err := c.PushOnly()
			if c.Principal().Subject == "slow" {
				slow <- context.Cause(ctx)
			}
			return err
		}})
		fast := n.connect("fast")
		n.connect("slow") // never reads
		synctest.Wait()
		payload := bytes.Repeat([]byte("x"), 8<<10)
		got := make(chan int)
		go func() {
			count := 0
			for ; count < 500; count++ {
				if _, _, err := fast.Read(t.Context()); err != nil {
					t.Error(err)
					break
				}
			}
			got <- count
		}()
		for range 500 {
			mu.Lock()
			for _, c := range hub {
				_ = c.Send(websocket.MessageBinary, payload)
			}
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
		if count := <-got; count != 500 {
			t.Errorf("the fast one got %d of 500", count)
		}
		if err := <-slow; !errors.Is(err, ws.ErrSlow) {
			t.Errorf("the slow one ended with %v, want slow", err)
		}
	})
}

func TestWriteToAStalledPeerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := make(chan error, 1)
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for {
				if err := c.Write(websocket.MessageBinary, make([]byte, 60<<10)); err != nil {
					result <- err
					return err
				}
			}
		}})
		begun := time.Now()
		n.connect("ann")
		if err := <-result; !errors.Is(err, ws.ErrSlow) {
			t.Errorf("write ends with %v, want slow", err)
		}
		if d := time.Since(begun); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("after %v, want 10 s", d)
		}
	})
}

// Queued messages precede the close frame of an end in good order.
func TestWhatWasSentPrecedesTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for i := range 100 {
				if err := c.Send(websocket.MessageBinary, bytes.Repeat([]byte{byte(i)}, 4<<10)); err != nil {
					t.Error(err)
				}
			}
			return nil
		}})
		c := n.connect("ann")
		for i := range 100 {
			_, p, err := c.Read(t.Context())
			if err != nil || p[0] != byte(i) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		wantEnding(t, c, 1000, "", 0, 0)
	})
}

func TestConnIsOfNoUseAfterServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := make(chan *ws.Conn, 1)
		n := start(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error { kept <- c; return nil }})
		wantEnding(t, n.connect("ann"), 1000, "", 0, 0)
		c := <-kept
		synctest.Wait()
		_, _, readErr := c.Read()
		for name, err := range map[string]error{
			"Read": readErr, "Write": c.Write(websocket.MessageText, nil), "Send": c.Send(websocket.MessageText, nil),
		} {
			if !errors.Is(err, ws.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	})
}

// The request's context ends with the handler; the connection's
// carries the principal and ends with the connection.
func TestContextOutlivesTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		checked := make(chan struct{})
		h := handler(t, ws.Config{Auth: auth(t, user{}), Serve: func(ctx context.Context, c *ws.Conn) error {
			defer close(checked)
			time.Sleep(time.Minute)
			if ctx.Err() != nil {
				t.Error("the context ended with the request")
			}
			if p, ok := middleware.FromContext(ctx); !ok || p.Subject != "ann" {
				t.Errorf("principal %v, %v", p, ok)
			}
			if ctx.Value(key{}) != nil {
				t.Error("the request's other values crossed the upgrade")
			}
			return nil
		}})
		srv := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "route context")))
		}))
		c, _, err := srv.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "X-User": {"ann"}}})
		if err != nil {
			t.Fatal(err)
		}
		wantEnding(t, c, 1000, "", time.Minute, time.Minute)
		<-checked
	})
}
