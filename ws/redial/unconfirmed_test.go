package redial_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// A path that delivers nothing is noticed within 35 s, and each message written into it is named.
func TestABlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got received
		_, s := server(t, ws.Config{Serve: got.serve})
		r := start(t, s, redial.Config{}, nil)
		must(t, r.Send(websocket.MessageText, []byte("arrives")))
		time.Sleep(5 * time.Second)
		for _, c := range s.Listener.Conns() {
			c.Blackhole()
		}
		began := time.Now()
		must(t, r.Send(websocket.MessageText, []byte("vanishes")))
		for len(r.phases(redial.Waiting)) == 0 && time.Since(began) < time.Minute {
			time.Sleep(time.Second)
		}
		if d := time.Since(began); d > 35*time.Second {
			t.Errorf("noticed after %v", d)
		}
		lost := r.undelivered()
		if len(lost) != 1 || string(lost[0].Payload) != "vanishes" || !lost[0].Unconfirmed || lost[0].Begun ||
			!errors.Is(lost[0].Cause, ws.ErrTimeout) {
			t.Errorf("%+v", lost)
		}
		r.stop()
	})
}

// A silent connection into a black hole is noticed too.
func TestASilentBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		r := start(t, s, redial.Config{}, nil)
		synctest.Wait()
		for _, c := range s.Listener.Conns() {
			c.Blackhole()
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if len(r.phases(redial.Waiting)) != 1 {
			t.Error("not noticed within 35 s")
		}
		r.stop()
	})
}

// Resets every 500 ms while 2,000 messages are sent: each arrives once, or is named.
func TestResetsEveryHalfSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got received
		h := handler(t, ws.Config{Serve: got.serve})
		s := wstest.NewServer(t, http.HandlerFunc(h.ServeHTTP))
		r := prepare(t, s, redial.Config{Backoff: redial.Backoff{
			Max: 20 * time.Millisecond,
			Min: time.Millisecond, Spread: 20 * time.Millisecond,
		}})
		r.run(nil)
		stop := make(chan struct{})
		var resets sync.WaitGroup
		resets.Go(func() {
			for {
				select {
				case <-time.After(500 * time.Millisecond):
				case <-stop:
					return
				}
				for _, c := range s.Listener.Conns() {
					_ = c.Close()
				}
			}
		})
		for i := range 2000 {
			must(t, r.Room(t.Context(), 8))
			must(t, r.Send(websocket.MessageText, fmt.Append(nil, i)))
			time.Sleep(10 * time.Millisecond)
		}
		close(stop)
		resets.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		named := map[string]bool{}
		for _, u := range r.undelivered() {
			named[string(u.Payload)] = true
		}
		times := map[string]int{}
		for _, m := range got.list {
			times[m]++
		}
		for i := range 2000 {
			m := fmt.Sprint(i)
			if times[m] > 1 || times[m] == 0 && !named[m] {
				t.Errorf("%s: arrived %d times, named: %v", m, times[m], named[m])
			}
		}
		if len(r.phases(redial.Open)) < 30 || len(named) > 1500 {
			t.Errorf("%d connections, %d named", len(r.phases(redial.Open)), len(named))
		}
		r.stop()
	})
}

// A close frame that the server answers confirms the messages before it.
func TestACloseThatIsAnsweredConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got received
		_, s := server(t, ws.Config{Serve: got.serve})
		var send func() error
		r := prepare(t, s, redial.Config{})
		send = func() error { return r.Send(websocket.MessageText, []byte("x")) }
		r.run(func(_ context.Context, c *redial.Conn) error { return send() })
		if err := <-r.done; err != nil || len(got.list) != 1 || len(r.undelivered()) != 0 {
			t.Errorf("Run: %v, %d arrived, %d undelivered", err, len(got.list), len(r.undelivered()))
		}
	})
}

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got received
		_, s := server(t, ws.Config{Serve: got.serve})
		r := prepare(t, s, redial.Config{Limits: redial.Limits{QueueBytes: 10}})
		must(t, r.Room(t.Context(), 10))
		must(t, r.Send(websocket.MessageText, []byte("12345678")))
		if n := r.BufferedAmount(); n != 8 {
			t.Errorf("%d bytes are buffered", n)
		}
		for n, want := range map[int]error{11: redial.ErrQueueFull, 1 << 20: redial.ErrTooBig} {
			if err := r.Room(t.Context(), n); !errors.Is(err, want) {
				t.Errorf("room for %d: %v, want %v", n, err, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Room(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("full: %v", err)
		}
		room := make(chan error)
		go func() { room <- r.Room(t.Context(), 5) }()
		synctest.Wait()
		r.run(nil)
		if err := <-room; err != nil || r.BufferedAmount() != 0 {
			t.Errorf("after the queue was sent: %v, %d bytes", err, r.BufferedAmount())
		}
		r.stop()
		if err := r.Room(t.Context(), 5); !errors.Is(err, redial.ErrStopped) {
			t.Errorf("after Run: %v", err)
		}
	})
}
