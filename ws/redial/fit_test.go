package redial_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// received is a server's Serve that records the messages.
type received struct {
	mu   sync.Mutex
	list []string
}

func (r *received) serve(_ context.Context, c *ws.Conn) error {
	for {
		_, p, err := c.Read()
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.list = append(r.list, string(p))
		r.mu.Unlock()
	}
}

func TestAFullQueueFitsTheServer(t *testing.T) {
	for name, limits := range map[string]ws.Limits{
		"a default server":                    {},
		"a server that takes ten in a second": {MessagesPerSecond: 10},
		"a server that takes few bytes":       {Message: 2048, MessagesPerSecond: 20},
		"a server without a burst":            {MessagesPerSecond: 50, MessageBurst: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got received
				_, s := server(t, ws.Config{Serve: got.serve, Limits: limits})
				var clients []*run
				for range 2 {
					r := prepare(t, s, redial.Config{})
					for i := range 1024 {
						must(t, r.Send(websocket.MessageText, fmt.Append(nil, i, strings.Repeat("x", 1000))))
					}
					if err := r.Send(websocket.MessageText, nil); !errors.Is(err, redial.ErrQueueFull) {
						t.Fatalf("the 1,025th: %v", err)
					}
					r.run(nil)
					clients = append(clients, r)
				}
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				if len(got.list) != 2048 {
					t.Errorf("%d of 2,048 arrived", len(got.list))
				}
				for _, r := range clients {
					if len(r.phases(redial.Open)) != 1 || len(r.undelivered()) != 0 {
						t.Errorf("%d connections, %d undelivered: %v",
							len(r.phases(redial.Open)), len(r.undelivered()), r.phases(redial.Closed))
					}
					r.stop()
				}
			})
		})
	}
}

func TestAMessageThatTheServerWouldNotAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got received
		_, s := server(t, ws.Config{Serve: got.serve, Limits: ws.Limits{Message: 100}})
		var written error
		r := prepare(t, s, redial.Config{Greet: func(_ context.Context, c *redial.Conn) error {
			written = errors.Join(c.Write(websocket.MessageText, make([]byte, 101)), c.Send(websocket.MessageText, make([]byte, 101)))
			return nil
		}})
		if err := r.Send(websocket.MessageBinary, make([]byte, 65_537)); !errors.Is(err, redial.ErrTooBig) {
			t.Errorf("beyond the default of a server that is not known yet: %v", err)
		}
		must(t, r.Send(websocket.MessageText, []byte(strings.Repeat("a", 65_536)))) // until the server says 100
		must(t, r.Send(websocket.MessageText, []byte("b")))
		r.run(nil)
		synctest.Wait()
		if err := r.Send(websocket.MessageText, make([]byte, 101)); !errors.Is(err, redial.ErrTooBig) {
			t.Errorf("beyond the limit of the server: %v", err)
		}
		if !errors.Is(written, redial.ErrTooBig) || strings.Count(written.Error(), "101 bytes, want at most 100") != 2 {
			t.Errorf("Write and Conn.Send: %v", written)
		}
		must(t, r.Send(websocket.MessageText, []byte(strings.Repeat("c", 100))))
		synctest.Wait()
		if lost := r.undelivered(); len(lost) != 1 || lost[0].Begun || len(lost[0].Payload) != 65_536 ||
			!errors.Is(lost[0].Cause, redial.ErrTooBig) {
			t.Errorf("undelivered: %d", len(lost))
		}
		if len(got.list) != 2 || len(r.phases(redial.Open)) != 1 {
			t.Errorf("%d messages arrived over %d connections", len(got.list), len(r.phases(redial.Open)))
		}
		r.stop()
	})
}
