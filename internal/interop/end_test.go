package interop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// numbers are 1, 2, 3, …, which one side sends, and the highest that the other side has got.
type numbers struct{ sent, got atomic.Int64 }

func (n *numbers) send(c *websocket.Conn) error {
	return c.WriteMessage(websocket.TextMessage, []byte(strconv.FormatInt(n.sent.Add(1), 10)))
}

func (n *numbers) receive(c *websocket.Conn) error {
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		i, err := strconv.ParseInt(string(p), 10, 64)
		if err != nil {
			return fmt.Errorf("a damaged message: %w", err)
		}
		n.got.Store(i)
	}
}

// flood sends number after number, and five more after the first error.
func (n *numbers) flood(c *websocket.Conn, stop <-chan struct{}) {
	for failures := 0; failures < 5; {
		if n.send(c) != nil {
			failures++
		}
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// Nothing that either side of a socket of gorilla begins to send after the acknowledgement of
// the end reaches the other, even if the client sends more before it answers the close frame. A
// socket of another credential goes on. Package live tests the same for every kind of credential,
// event and response.
func TestNothingPassesGorillaAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  middleware.Revocation
	}{
		{"its session", middleware.Revocation{SessionHandle: "session"}},
		{"its token", middleware.Revocation{TokenHandle: "token of session"}},
		{"its user", middleware.Revocation{Issuer: ann.Issuer, Subject: ann.Subject}},
	} {
		for _, kind := range []string{"plain", "TLS"} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, live.Config{})
				ended, other := w.exchange(t, kind, "session"), w.exchange(t, kind, "session of bob")
				ended.advances(t)
				other.advances(t)
				must(t, w.revocations.Revoke(context.Background(), tt.end))
				down, up := ended.down.sent.Load(), ended.up.sent.Load() // at the acknowledgement
				err := received(t, "the close frame", ended.closed)
				if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != 3000 || e.Text != "revoked" {
					t.Errorf("the client has read %v, want 3000 revoked", err)
				}
				if err := received(t, "the handler's end", ended.handled); gorillaCode(err) != 3000 {
					t.Errorf("the handler has read %v, want 3000", err)
				}
				if n := ended.down.got.Load(); n > down {
					t.Errorf("the client has got %d numbers that were sent after the acknowledgement", n-down)
				}
				if n := ended.up.got.Load(); n > up {
					t.Errorf("the handler has got %d numbers that were sent after the acknowledgement", n-up)
				}
				other.advances(t)
			})
		}
	}
}

// exchange is a socket on which both sides send all the time.
type exchange struct {
	down, up        numbers    // to the client, and from it
	closed, handled chan error // the errors of the reads of the client, and of the handler
}

func (w *world) exchange(t *testing.T, kind, session string) *exchange {
	t.Helper()
	e := &exchange{closed: make(chan error, 1), handled: make(chan error, 1)}
	stop, all := make(chan struct{}), new(sync.WaitGroup)
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(rw, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		all.Go(func() { e.down.flood(c, stop) })
		e.handled <- e.up.receive(c)
		_ = c.Close()
	})), kind)
	c, _ := w.connect(s, session, false)
	c.SetCloseHandler(func(int, string) error { return nil })
	t.Cleanup(func() {
		close(stop)
		_ = c.Close()
		all.Wait()
	})
	over, flooded := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		defer close(flooded)
		e.up.flood(c, over)
	})
	all.Go(func() {
		err := e.down.receive(c)
		close(over)
		<-flooded
		for range 5 { // as a hostile client does
			_ = e.up.send(c)
		}
		_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
		e.closed <- err
	})
	return e
}

// advances wants that more numbers come through in both directions.
func (e *exchange) advances(t *testing.T) {
	t.Helper()
	down, up := e.down.sent.Load()+1, e.up.sent.Load()+1
	for end := time.Now().Add(patience); e.down.got.Load() < down || e.up.got.Load() < up; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the client has got %d of %d numbers, the handler %d of %d", e.down.got.Load(), down, e.up.got.Load(), up)
		}
	}
}
