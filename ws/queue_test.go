package ws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// pushing serves connections with push, and ends them when the peer does.
func pushing(t *testing.T, cfg ws.Config, push func(*ws.Conn) error) *node {
	t.Helper()
	cfg.Auth = auth(t, middleware.Anonymous())
	cfg.Serve = func(_ context.Context, c *ws.Conn) error { return push(c) }
	return start(t, cfg)
}

func TestSendKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, each = 8, 100
		n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
			var wg sync.WaitGroup
			for s := range senders {
				wg.Go(func() {
					for i := range each {
						if err := c.Send(websocket.MessageText, fmt.Appendf(nil, "%d %d", s, i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			return nil
		})
		_, _, got := attack(t, n.Server).closed()
		next := map[int]int{}
		for _, m := range got {
			var s, i int
			if _, err := fmt.Sscan(m, &s, &i); err != nil || next[s] != i {
				t.Fatalf("got %q, want message %d of sender %d", m, next[s], s)
			}
			next[s]++
		}
		if len(got) != senders*each {
			t.Errorf("%d messages, want %d", len(got), senders*each)
		}
	})
}

// Send copies, so that its caller may go on with the memory.
func TestSendCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
			p := make([]byte, 4)
			for i := range uint32(100) {
				binary.BigEndian.PutUint32(p, i)
				if err := c.Send(websocket.MessageBinary, p); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		_, _, got := attack(t, n.Server).closed()
		for i, m := range got {
			if binary.BigEndian.Uint32([]byte(m)) != uint32(i) {
				t.Fatalf("message %d is % x", i, m)
			}
		}
		if len(got) != 100 {
			t.Errorf("%d messages", len(got))
		}
	})
}

// OWASP W21: a peer that does not read is held to Limits.Queue….
func TestQueueIsBounded(t *testing.T) {
	tests := []struct {
		sentence string
		limits   ws.Limits
		most     int // queued; one more may be on its way
	}{
		{"in messages", ws.Limits{QueueMessages: 5}, 5},
		{"in bytes", ws.Limits{QueueBytes: 20_000}, 20},
		{"in one message", ws.Limits{QueueMessages: 1}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := make(chan int, 1)
				n := pushing(t, ws.Config{Limits: tt.limits}, func(c *ws.Conn) error {
					for count := 0; ; count++ {
						err := c.Send(websocket.MessageBinary, make([]byte, 1000))
						if err != nil {
							if !errors.Is(err, ws.ErrSlow) {
								t.Errorf("got %v, want ErrSlow", err)
							}
							sent <- count
							return nil
						}
						synctest.Wait() // it is written, or waits
					}
				})
				c := attack(t, n.Server)
				count := <-sent
				code, reason, got := c.closed() // it reads at last
				if code != 1013 || reason != "slow" {
					t.Errorf("closed with %d %q, want 1013 slow", code, reason)
				}
				if queued := count - len(got); queued > tt.most || queued < tt.most-1 {
					t.Errorf("%d of %d messages were queued, want %d", queued, count, tt.most)
				}
			})
		})
	}
}

func TestQueueRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pushing(t, ws.Config{Limits: ws.Limits{QueueBytes: 10_000, QueueMessages: 10}}, func(c *ws.Conn) error {
			for range 200 {
				for range 10 {
					if err := c.Send(websocket.MessageBinary, make([]byte, 1000)); err != nil {
						return err
					}
				}
				synctest.Wait() // the peer has read them
			}
			return nil
		})
		code, reason, got := attack(t, n.Server).closed()
		if code != 1000 || len(got) != 2000 {
			t.Errorf("%d messages, then %d %q; want 2000, then 1000", len(got), code, reason)
		}
	})
}

func TestSendRefusesWhatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pushing(t, ws.Config{Limits: ws.Limits{QueueBytes: 10}}, func(c *ws.Conn) error {
			for sentence, err := range map[string]error{
				"a type that is neither text nor binary": c.Send(websocket.MessageType(0x8), nil),
				"text that is not UTF-8":                 c.Send(websocket.MessageText, []byte("\xff")),
				"more than the queue ever holds":         c.Send(websocket.MessageBinary, make([]byte, 11)),
				"a ping by Write":                        c.Write(websocket.MessageType(0x9), nil),
				"text that is not UTF-8, by Write":       c.Write(websocket.MessageText, []byte("\xff")),
				"what JSON cannot say":                   c.WriteJSON(func() {}),
				"a close code that is never sent":        c.Close(1005, ""),
				"a close reason that does not fit":       c.Close(1000, strings.Repeat("x", 124)),
			} {
				var ended *ws.CloseError
				if err == nil || errors.As(err, &ended) {
					t.Errorf("%s: %v, want an error that ends nothing", sentence, err)
				}
			}
			return c.Send(websocket.MessageText, []byte("well"))
		})
		attack(t, n.Server).wantClosed(1000, "", "well")
	})
}

// Queued messages go out before an end in good order, and are dropped if the credential
// ended or the peer is at fault.
func TestEndingFlushesOrDrops(t *testing.T) {
	const count = 200
	tests := []struct {
		sentence string
		end      error
		code     uint16
		flushed  bool
	}{
		{"nil", nil, 1000, true},
		{"going away", &ws.CloseError{Code: 1001}, 1001, true},
		{"the application's own code", &ws.CloseError{Code: 4001, Reason: "moved"}, 4001, true},
		{"forbidden", ws.ErrForbidden, 3003, false},
		{"revoked", ws.ErrRevoked, 3000, false},
		{"expired", ws.ErrExpired, 3000, false},
		{"a failure of Serve", errors.New("boom"), 1011, false},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := pushing(t, ws.Config{}, func(c *ws.Conn) error {
					for range count {
						if err := c.Send(websocket.MessageBinary, make([]byte, 4000)); err != nil {
							t.Error(err)
						}
					}
					return tt.end
				})
				c := attack(t, n.Server)
				synctest.Wait() // the network is full, and the rest queued
				code, _, got := c.closed()
				if code != tt.code || (len(got) == count) != tt.flushed {
					t.Errorf("%d of %d messages, then %d; want all: %v, then %d", len(got), count, code, tt.flushed, tt.code)
				}
			})
		})
	}
}

// Peers that read lose nothing to those that do not, in whatever order they are served.
func TestSlowConsumersDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fast, slow, rounds = 20, 10, 300
		var mu sync.Mutex
		var hub []*ws.Conn
		ended := make(chan error, slow+fast)
		n := pushing(t, ws.Config{Limits: ws.Limits{QueueBytes: 64 << 10}}, func(c *ws.Conn) error {
			mu.Lock()
			hub = append(hub, c)
			mu.Unlock()
			err := c.PushOnly()
			ended <- err
			return err
		})
		for range slow {
			attack(t, n.Server) // never reads
		}
		got := make(chan int, fast)
		for range fast {
			c := attack(t, n.Server)
			go func() {
				_, _, messages := c.closed()
				got <- len(messages)
			}()
		}
		synctest.Wait()
		for range rounds {
			mu.Lock()
			for _, c := range hub {
				_ = c.Send(websocket.MessageBinary, make([]byte, 1024))
			}
			mu.Unlock()
			synctest.Wait()
		}
		for range slow {
			if err := <-ended; !errors.Is(err, ws.ErrSlow) {
				t.Errorf("a slow one ended with %v", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		shutdown(ctx, t, n.live)
		for range fast {
			if k := <-got; k != rounds {
				t.Errorf("a fast one got %d of %d", k, rounds)
			}
		}
	})
}
