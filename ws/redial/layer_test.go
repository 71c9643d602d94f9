package redial_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

// layer is a Layer with a slow CloseWrite.
type layer struct {
	c       *redial.Conn
	delay   time.Duration
	closing atomic.Bool
	closed  atomic.Bool // CloseWrite has returned
	words   string      // the message that CloseWrite sends, if any
}

func (l *layer) Write(typ websocket.MessageType, p []byte) error {
	if l.closing.Load() {
		return ws.ErrClosed
	}
	return l.c.Write(typ, p)
}

func (l *layer) CloseWrite() error {
	l.closing.Store(true)
	if l.words != "" {
		_ = l.c.Write(websocket.MessageText, []byte(l.words))
	}
	time.Sleep(l.delay)
	l.closed.Store(true)
	return nil
}

// renewing starts a client whose connections are renewed after a minute, and served with
// one layer each.
func renewing(t *testing.T, b *inbox, make func(*redial.Conn) *layer, serve func(context.Context, *redial.Conn, *layer) error) *run {
	t.Helper()
	_, s := server(t, ws.Config{Serve: b.serve, Limits: ws.Limits{MessagesPerSecond: 10_000}})
	r := prepare(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
		return redial.Credential{Renew: time.Now().Add(time.Minute)}, nil
	}})
	r.run(func(ctx context.Context, c *redial.Conn) error {
		l := make(c)
		c.SendThrough(l)
		return serve(ctx, c, l)
	})
	return r
}

// During the CloseWrite of a renewed connection, messages wait for its successor, and an
// error of serve caused by the CloseWrite does not end Run.
func TestSendWhileARenewedConnectionSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		var serves atomic.Int64
		r := renewing(t, &b, func(c *redial.Conn) *layer { return &layer{c: c, delay: time.Second} },
			func(ctx context.Context, c *redial.Conn, l *layer) error {
				serves.Add(1)
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						if err := l.Write(websocket.MessageText, []byte("beat")); err != nil {
							return fmt.Errorf("no beat: %v", err)
						}
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
			})
		var sent []string
		for range 3000 {
			time.Sleep(100 * time.Millisecond)
			sent = append(sent, numbered(len(sent), len(sent)+1)...)
			must(t, r.Send(websocket.MessageText, []byte(sent[len(sent)-1])))
		}
		time.Sleep(5 * time.Second)
		if n := len(r.phases(redial.Waiting)); n != 0 || serves.Load() < 4 {
			t.Errorf("%d connections, %d waits; want renewals only", serves.Load(), n)
		}
		r.stop()
		got := slices.DeleteFunc(b.texts(), func(s string) bool { return s == "beat" })
		if !slices.Equal(got, sent) || len(r.undelivered()) != 0 {
			t.Errorf("%d of %d messages arrived in order, %d are reported", len(got), len(sent), len(r.undelivered()))
		}
	})
}

// A CloseWrite that does not return does not delay the successor, whose server would time
// out.
func TestGoodbyeOfARenewedConnectionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b inbox
		var began []time.Time
		r := renewing(t, &b, func(c *redial.Conn) *layer { return &layer{c: c, delay: 20 * time.Second} },
			func(ctx context.Context, c *redial.Conn, _ *layer) error {
				began = append(began, time.Now())
				return listen(ctx, c)
			})
		time.Sleep(5 * time.Minute)
		r.stop()
		opened := r.phases(redial.Open)
		if len(began) < 4 || len(began) != len(opened) || len(r.phases(redial.Waiting)) != 0 {
			t.Fatalf("%d connections served, %d opened, %d waits", len(began), len(opened), len(r.phases(redial.Waiting)))
		}
		for i := 1; i < len(began); i++ {
			if d := began[i].Sub(began[i-1]); d > time.Minute+2100*time.Millisecond {
				t.Errorf("served %v after the one before", d)
			}
		}
	})
}

// A server may close in answer to the CloseWrite: that counts as the renewal and does not
// end Run.
func TestServerThatAnswersTheGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int64
		_, s := server(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			for {
				_, p, err := c.Read()
				if err != nil || string(p) == "bye" {
					return err // 1000
				}
			}
		}})
		r := prepare(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
			return redial.Credential{Renew: time.Now().Add(time.Minute)}, nil
		}})
		r.run(func(ctx context.Context, c *redial.Conn) error {
			c.SendThrough(&layer{c: c, delay: time.Second, words: "bye"})
			err := listen(ctx, c)
			if served.Add(1)%2 == 0 && errors.Is(err, io.EOF) {
				return nil // as if the server had ended the conversation
			}
			return err
		})
		select {
		case err := <-r.done:
			t.Fatalf("Run: %v after %d connections", err, served.Load())
		case <-time.After(10 * time.Minute):
		}
		r.cancel()
		if err := <-r.done; !errors.Is(err, context.Canceled) || served.Load() < 8 {
			t.Errorf("Run: %v after %d connections", err, served.Load())
		}
	})
}

// Run waits for a CloseWrite that goes on after the end of its connection.
func TestRunWaitsForCloseWrite(t *testing.T) {
	minute := func(ctx context.Context) error {
		select {
		case <-time.After(time.Minute):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	tests := []struct {
		sentence string
		cancel   time.Duration // when the context ends
		renew    time.Duration // of the credential
		serve    func(ctx context.Context, n int) error
	}{
		{
			sentence: "serve returns nil", cancel: time.Hour, renew: time.Hour,
			serve: func(ctx context.Context, _ int) error { return minute(ctx) },
		},
		{
			sentence: "serve returns nil, and the context ends", cancel: time.Minute + time.Second, renew: time.Hour,
			serve: func(ctx context.Context, _ int) error { return minute(ctx) },
		},
		{
			sentence: "serve returns a code, and the context ends", cancel: time.Minute + time.Second, renew: time.Hour,
			serve: func(ctx context.Context, _ int) error { return cmp.Or(minute(ctx), error(&ws.CloseError{Code: 4000})) },
		},
		{
			sentence: "the successor of a renewed connection ends Run", cancel: time.Hour, renew: 30 * time.Second,
			serve: func(ctx context.Context, n int) error {
				if n > 1 {
					return redial.Permanent(errors.New("enough"))
				}
				return minute(ctx)
			},
		},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var b inbox
			_, s := server(t, ws.Config{Serve: b.serve})
			r := prepare(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
				return redial.Credential{Renew: time.Now().Add(tt.renew)}, nil
			}})
			var layers []*layer
			r.run(func(ctx context.Context, c *redial.Conn) error {
				l := &layer{c: c, delay: 4 * time.Second}
				layers = append(layers, l)
				c.SendThrough(l)
				return tt.serve(ctx, len(layers))
			})
			defer time.AfterFunc(tt.cancel, r.cancel).Stop()
			<-r.done
			if l := layers[0]; !l.closing.Load() || !l.closed.Load() {
				t.Errorf("%s: CloseWrite has begun: %t, has ended: %t", tt.sentence, l.closing.Load(), l.closed.Load())
			}
		})
	}
}
