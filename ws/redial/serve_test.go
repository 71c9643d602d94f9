package redial_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

func TestServeThatIsBusyIsNotTheServersFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{
			Serve: func(_ context.Context, c *ws.Conn) error {
				for range 200 {
					must(t, c.Write(websocket.MessageText, bytes.Repeat([]byte("x"), 1000)))
				}
				return c.PushOnly()
			},
			Timeouts: ws.Timeouts{Write: time.Hour, Pong: time.Hour, Idle: 3 * time.Hour},
		})
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			for range 200 {
				time.Sleep(20 * time.Second)
				if _, _, err := c.Read(); err != nil {
					return err
				}
			}
			return nil
		})
		if err := <-r.done; err != nil || len(r.phases(redial.Open)) != 1 {
			t.Errorf("Run: %v after %d connections", err, len(r.phases(redial.Open)))
		}
	})
}

func TestWhatServeReturnsDecidesWhileTheConnectionLives(t *testing.T) {
	mine := errors.New("mine")
	tests := map[string]struct {
		err     error
		code    websocket.StatusCode // the server sees
		returns error                // of Run; nil and comes: it reconnects
		comes   bool
	}{
		"nil":                     {nil, 1000, nil, false},
		"an error":                {mine, 1011, mine, false},
		"a permanent one":         {redial.Permanent(mine), 1011, mine, false},
		"a code that stops":       {&ws.CloseError{Code: 4000, Reason: "done"}, 4000, &ws.CloseError{Code: 4000, Reason: "done"}, false},
		"a code that comes back":  {&ws.CloseError{Code: 3008, Reason: "timeout"}, 3008, nil, true},
		"a code that is not sent": {&ws.CloseError{Code: 1006}, 1011, &ws.CloseError{Code: 1006}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var code websocket.StatusCode
				_, s := server(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
					err := c.PushOnly()
					var closed *ws.CloseError
					if errors.As(err, &closed) && code == 0 {
						code = closed.Code
					}
					return err
				}})
				r := start(t, s, redial.Config{}, func(context.Context, *redial.Conn) error { return tt.err })
				time.Sleep(time.Minute)
				synctest.Wait()
				if code != tt.code {
					t.Errorf("the server saw %d, want %d", code, tt.code)
				}
				if tt.comes {
					r.stop()
					return
				}
				if err := <-r.done; !errors.Is(err, tt.returns) {
					t.Errorf("Run: %v, want %v", err, tt.returns)
				}
			})
		})
	}
}

func TestPermanentEndsRunWhateverTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := errors.New("mine")
		s := wstest.NewServer(t, closing(t, 1012, "restart"))
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			_, _, err := c.Read()
			if !errors.Is(err, ws.ErrDraining) {
				t.Errorf("Read: %v", err)
			}
			return redial.Permanent(mine)
		})
		if err := <-r.done; err != mine {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestReadTakesTheMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{Limits: ws.Limits{Message: 100_000}})
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			for _, n := range []int{1, 100_000, 10, 500_00, 0, 65_536} {
				want := bytes.Repeat([]byte{byte(n)}, n)
				must(t, c.Write(websocket.MessageBinary, want))
				_, p, err := c.Read()
				if err != nil || !bytes.Equal(p, want) {
					return err
				}
			}
			return nil
		})
		if err := <-r.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAMessageStaysAsItIsUntilTheNextRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn := upgrade(t, w, r)
			_, _ = conn.Write([]byte{0x82, 2, 'a', 'a'})
			time.Sleep(time.Second)
			_, _ = conn.Write([]byte{0x82, 2, 'b', 'b'}) // after the client's close frame
			_, _ = io.Copy(io.Discard, conn)
		}))
		r := start(t, s, redial.Config{}, func(_ context.Context, c *redial.Conn) error {
			_, p, err := c.Read()
			must(t, err)
			must(t, c.Close(4000, "bye"))
			time.Sleep(90 * time.Second)
			if string(p) != "aa" {
				t.Errorf("the message became %q", p)
			}
			return nil
		})
		<-r.done
	})
}

func TestOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		r := start(t, s, redial.Config{}, nil)
		synctest.Wait()
		if err := r.Run(t.Context(), listen); err == nil {
			t.Error("a second Run")
		}
		r.stop()
		r.run(nil) // but one after the other
		time.Sleep(time.Second)
		r.stop()
		if len(r.phases(redial.Open)) != 2 {
			t.Error("the second Run did not connect")
		}
	})
}

func TestPanicInServePassesAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		r := prepare(t, s, redial.Config{})
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
			if err := r.Send(websocket.MessageText, nil); !errors.Is(err, redial.ErrStopped) {
				t.Errorf("Send: %v", err)
			}
		}()
		_ = r.Run(t.Context(), func(context.Context, *redial.Conn) error { panic("serve") })
	})
}
