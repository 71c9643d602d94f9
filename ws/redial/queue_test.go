package redial_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// inbox is a server that records the messages it receives.
type inbox struct {
	mu  sync.Mutex
	got []string
}

func (b *inbox) serve(_ context.Context, c *ws.Conn) error {
	for {
		_, p, err := c.Read()
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.got = append(b.got, string(p))
		b.mu.Unlock()
		if string(p) == "restart" {
			return ws.ErrDraining
		}
	}
}

func (b *inbox) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

func numbered(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func TestMessagesSentWhileDownArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		h := handler(t, ws.Config{Serve: b.serve, Limits: ws.Limits{MessagesPerSecond: 10_000}})
		var up atomic.Bool
		s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if up.Load() {
				h.ServeHTTP(w, r)
				return
			}
			answering(503).ServeHTTP(w, r)
		}))
		r := prepare(t, s, redial.Config{Greet: func(_ context.Context, c *redial.Conn) error {
			return c.Write(websocket.MessageText, []byte("hello"))
		}})
		send := func(texts []string) {
			for _, text := range texts {
				must(t, r.Send(websocket.MessageText, []byte(text)))
			}
		}
		send(numbered(0, 100)) // before Run
		r.run(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		send(numbered(100, 200)) // while down
		up.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		send(numbered(200, 300)) // while up
		synctest.Wait()
		if got, want := b.texts(), append([]string{"hello"}, numbered(0, 300)...); !slices.Equal(got, want) {
			t.Errorf("the server got %q", got)
		}
		r.stop()
		if lost := r.undelivered(); len(lost) != 0 {
			t.Errorf("undelivered: %v", lost)
		}
		if err := r.Send(websocket.MessageText, nil); !errors.Is(err, redial.ErrStopped) {
			t.Errorf("Send after Run: %v", err)
		}
	})
}

// A queued message arrives or is reported, once; a message that is reported as not begun
// has not arrived.
func TestEveryMessageArrivesOrIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		_, s := server(t, ws.Config{Serve: b.serve, Limits: ws.Limits{MessagesPerSecond: 10_000}})
		r := start(t, s, redial.Config{Timeouts: redial.Timeouts{Stable: time.Second}}, nil)
		const n = 500
		for i := range n {
			must(t, r.Send(websocket.MessageText, []byte(fmt.Sprint(i))))
			if i%50 == 25 {
				must(t, r.Send(websocket.MessageText, []byte("restart")))
			}
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		r.stop()
		seen := map[string]int{}
		last := -1
		for _, text := range b.texts() {
			var i int
			if text == "restart" {
				continue
			}
			_, _ = fmt.Sscan(text, &i)
			if i <= last {
				t.Errorf("%d after %d", i, last)
			}
			last = i
			seen[text]++
		}
		reported := map[string]redial.Undelivered{}
		for _, u := range r.undelivered() {
			reported[string(u.Payload)] = u
		}
		for _, text := range numbered(0, n) {
			u, lost := reported[text]
			switch {
			case seen[text] > 1, seen[text] == 1 && lost && !u.Unconfirmed:
				t.Errorf("%s arrived %d times, reported %v", text, seen[text], lost)
			case seen[text] == 0 && !lost:
				t.Errorf("%s was handed to a connection that lived and did not arrive", text)
			}
		}
		if len(r.phases(redial.Open)) < 8 {
			t.Errorf("%d connections", len(r.phases(redial.Open)))
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prepare(t, nil, redial.Config{
			HTTPClient: &http.Client{Transport: &refusing{}}, Limits: redial.Limits{QueueMessages: 3, QueueBytes: 10},
		})
		send := func(size int) error { return r.Send(websocket.MessageBinary, make([]byte, size)) }
		must(t, send(4))
		must(t, send(4))
		if err := send(3); !errors.Is(err, redial.ErrQueueFull) {
			t.Errorf("beyond QueueBytes: %v", err)
		}
		must(t, send(2))
		if err := send(0); !errors.Is(err, redial.ErrQueueFull) {
			t.Errorf("beyond QueueMessages: %v", err)
		}
		if err := r.Send(websocket.MessageText, []byte{0xff}); err == nil || errors.Is(err, redial.ErrQueueFull) {
			t.Errorf("text that is not UTF-8: %v", err)
		}
		r.run(nil)
		time.Sleep(time.Minute)
		r.stop()
		lost := r.undelivered()
		if len(lost) != 3 || len(lost[0].Payload) != 4 || len(lost[2].Payload) != 2 {
			t.Errorf("undelivered: %v", lost)
		}
		for _, u := range lost {
			if u.Begun || !errors.Is(u.Cause, context.Canceled) {
				t.Errorf("undelivered: begun %v, cause %v", u.Begun, u.Cause)
			}
		}
	})
}

func TestConnSendBelongsToItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		_, s := server(t, ws.Config{Serve: b.serve})
		n := 0
		r := start(t, s, redial.Config{}, func(ctx context.Context, c *redial.Conn) error {
			if n++; n == 1 {
				must(t, c.Send(websocket.MessageText, []byte("delivered")))
				synctest.Wait()
				must(t, c.Close(3008, "timeout")) // so that the client reconnects
				if err := c.Send(websocket.MessageText, []byte("late")); err == nil {
					t.Error("Send on an ended connection")
				}
			}
			return listen(ctx, c)
		})
		time.Sleep(time.Minute)
		r.stop()
		if got := b.texts(); !slices.Equal(got, []string{"delivered"}) || n != 2 {
			t.Errorf("the server got %q over %d connections", got, n)
		}
	})
}

func TestServeThatReturnsNilFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		_, s := server(t, ws.Config{Serve: b.serve, Limits: ws.Limits{MessagesPerSecond: 10_000}})
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			for _, text := range numbered(0, 500) {
				must(t, c.Send(websocket.MessageText, []byte(text)))
			}
			return nil
		})
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := b.texts(); !slices.Equal(got, numbered(0, 500)) || len(r.undelivered()) != 0 {
			t.Errorf("%d arrived, %d undelivered", len(got), len(r.undelivered()))
		}
	})
}
