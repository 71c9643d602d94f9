package redial_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

func TestPlannedReconnectBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open, most, total atomic.Int64
		var codes []websocket.StatusCode
		_, s := server(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			total.Add(1)
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
			err := c.PushOnly()
			var closed *ws.CloseError
			if errors.As(err, &closed) {
				codes = append(codes, closed.Code)
			}
			return err
		}})
		var opened []time.Time
		source := func(context.Context, bool) (redial.Credential, error) {
			c := redial.BearerToken("t")
			c.Expires = time.Now().Add(10 * time.Minute)
			return c, nil
		}
		serving := 0
		r := start(t, s, redial.Config{Credential: source}, func(ctx context.Context, c *redial.Conn) error {
			if serving++; serving > 1 {
				t.Error("two serve calls at a time")
			}
			defer func() { serving-- }()
			opened = append(opened, time.Now())
			err := listen(ctx, c)
			if ctx.Err() == nil || context.Cause(ctx) == nil {
				t.Error("serve's context lives on")
			}
			return fmt.Errorf("wrapped: %w", err)
		})
		time.Sleep(2 * time.Hour)
		r.stop()
		synctest.Wait() // for the server's side
		for i := 1; i < len(opened); i++ {
			if d := opened[i].Sub(opened[i-1]); d < 7*time.Minute || d > 9*time.Minute+5*time.Second {
				t.Errorf("renewed after %v, want between 7 and 9 minutes of 10", d)
			}
		}
		if n := total.Load(); n < 13 || n > 17 || most.Load() != 2 {
			t.Errorf("%d connections in two hours, %d at a time; want the next opened before the last is closed", n, most.Load())
		}
		for _, code := range codes[:len(codes)-1] {
			if code != 1000 {
				t.Errorf("the server saw %d, want 1000", code)
			}
		}
		if n := len(r.phases(redial.Waiting)); n != 0 {
			t.Errorf("waited %d times", n)
		}
	})
}

func TestRenewalThatFailsIsTriedAgainWhileTheOldOneLives(t *testing.T) {
	tests := map[string]struct {
		status int
		reason string
		dials  func(n int) bool
		ends   bool
	}{
		"503: until the server ends it, and then on": {503, "unavailable", func(n int) bool { return n > 4 }, false},
		"403: once, and the old one lives on":        {403, "forbidden", func(n int) bool { return n == 2 }, true},
		"401: with one more, and the old lives on":   {401, "credential_invalid", func(n int) bool { return n == 3 }, true},
		"404 of a router: as 503":                    {404, "", func(n int) bool { return n > 4 }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t, ws.Config{Serve: lasting(10*time.Minute, ws.ErrExpired)})
				var dials atomic.Int64
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if dials.Add(1) == 1 {
						h.ServeHTTP(w, r)
					} else {
						refusingWith(tt.status, tt.reason).ServeHTTP(w, r)
					}
				}))
				began := time.Now()
				r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
					c := redial.BearerToken("t")
					c.Expires = began.Add(10 * time.Minute)
					return c, nil
				}}, nil)
				time.Sleep(9*time.Minute + 59*time.Second)
				synctest.Wait()
				if len(r.phases(redial.Waiting))+len(r.phases(redial.Closed)) != 0 || len(r.phases(redial.Open)) != 1 {
					t.Error("the old connection did not live on")
				}
				if !tt.dials(int(dials.Load())) {
					t.Errorf("%d dials", dials.Load())
				}
				before := dials.Load()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if tt.ends && dials.Load() != before {
					t.Error("dialed again for a credential that there will not be")
				}
				if ended := len(r.phases(redial.Closed)) == 1; ended != tt.ends {
					t.Errorf("Run has ended: %v", ended)
				}
				if !tt.ends {
					r.stop()
					return
				}
				var answered *redial.HandshakeError
				if err := <-r.done; !errors.As(err, &answered) || answered.Status != tt.status {
					t.Errorf("Run: %v, want %d", err, tt.status)
				}
			})
		})
	}
}

func TestCredentialOfSecondsIsNoTightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dials := counted(t, handler(t, ws.Config{}))
		r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
			c := redial.BearerToken("t")
			c.Expires, c.Renew = time.Now().Add(time.Minute), time.Now()
			return c, nil
		}}, nil)
		time.Sleep(10 * time.Minute)
		r.stop()
		if n := dials.Load(); n > 61 {
			t.Errorf("%d dials in ten minutes: more than one in Timeouts.Stable", n)
		}
	})
}

// Row 10: the connection is cut within interval and timeout, and the client reconnects.
func TestHalfOpenConnectionIsFoundAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{})
		var causes []error
		r := start(t, s, redial.Config{}, func(ctx context.Context, c *redial.Conn) error {
			err := listen(ctx, c)
			causes = append(causes, err)
			return err
		})
		time.Sleep(10 * time.Minute) // heartbeats keep it
		if len(r.phases(redial.Open)) != 1 {
			t.Fatal("a good connection was ended")
		}
		lost := time.Now()
		s.Listener.Conns()[0].Blackhole()
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if len(causes) != 1 || !errors.Is(causes[0], ws.ErrTimeout) {
			t.Fatalf("after 35 s: %v, want ErrTimeout", causes)
		}
		if waited := r.phases(redial.Waiting); len(waited) != 1 || waited[0].at.Sub(lost) > 35*time.Second {
			t.Errorf("found after %v", waited[0].at.Sub(lost))
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if len(r.phases(redial.Open)) != 2 {
			t.Error("not back after Spread")
		}
		r.stop()
	})
}

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

// Row 12: a server that does not answer the close frame, or answers and keeps TCP open.
func TestCloseIsBounded(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		<-r.Context().Done() // never reads
		_ = c.CloseNow()
	}
	tests := map[string]func(context.Context, *redial.Conn) error{
		"serve returns": func(context.Context, *redial.Conn) error { return nil },
		"Close": func(_ context.Context, c *redial.Conn) error {
			if err := c.Close(4000, "bye"); err != nil {
				return err
			}
			_, _, err := c.Read()
			return err
		},
		"a write is stuck": func(_ context.Context, c *redial.Conn) error {
			go func() { _ = c.Write(websocket.MessageBinary, make([]byte, 1<<20)) }()
			time.Sleep(time.Second)
			return nil
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { silent(w, r.WithContext(ctx)) }))
				began := time.Now()
				r := start(t, s, redial.Config{}, serve)
				<-r.done
				took := time.Since(began)
				if took > 4*time.Second {
					t.Errorf("took %v, want 2 s and no more than 5", took)
				}
				if n, err := s.Listener.Conns()[0].Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
					t.Errorf("TCP is open: %d %v", n, err)
				}
				cancel()
			})
		})
	}
}

func TestStalledWriteIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := server(t, ws.Config{
			Serve:  func(context.Context, *ws.Conn) error { time.Sleep(time.Minute); return nil },
			Limits: ws.Limits{Message: 1 << 24},
		})
		r := prepare(t, s, redial.Config{Limits: redial.Limits{QueueBytes: 1 << 22, Outgoing: 1 << 22}})
		must(t, r.Send(websocket.MessageBinary, make([]byte, 1<<21)))
		r.run(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		lost := r.undelivered()
		if len(lost) != 1 || !lost[0].Begun || len(lost[0].Payload) != 1<<21 {
			t.Errorf("undelivered %d, want the message, begun", len(lost))
		}
		if w := r.phases(redial.Waiting); len(w) != 1 {
			t.Errorf("waiting %v, want to come back", w)
		}
		r.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

func TestContextEndClosesWithGoingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		_, s := server(t, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error {
			err := c.PushOnly()
			ended <- err
			return err
		}})
		r := start(t, s, redial.Config{}, nil)
		time.Sleep(time.Minute)
		r.stop()
		var closed *ws.CloseError
		if err := <-ended; !errors.As(err, &closed) || closed.Code != 1001 {
			t.Errorf("the server saw %v, want 1001", err)
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

func TestRetryCodesBringBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dials := counted(t, closing(t, 4010, "moved"))
		r := start(t, s, redial.Config{RetryCodes: []websocket.StatusCode{4010}}, nil)
		time.Sleep(5 * time.Minute)
		r.stop()
		if dials.Load() < 3 {
			t.Errorf("%d dials", dials.Load())
		}
	})
}

func TestServersThatBreakTheProtocol(t *testing.T) {
	frames := map[string]struct {
		frame []byte
		code  websocket.StatusCode
	}{
		"text that is not UTF-8 (RFC 6455 §8.1)": {[]byte{0x81, 2, 0xff, 0xfe}, 1007},
		"a reserved bit (§5.2)":                  {[]byte{0xC1, 1, 'x'}, 1002},
		"an unknown opcode (§5.2)":               {[]byte{0x83, 1, 'x'}, 1002},
		"a continuation of nothing (§5.4)":       {[]byte{0x80, 1, 'x'}, 1002},
		"a long control frame (§5.5)":            {[]byte{0x89, 126, 0, 200}, 1002},
		"more than the limit":                    {append([]byte{0x82, 126, 4, 1}, make([]byte, 1025)...), 1009},
	}
	for name, tt := range frames {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var answer []byte
				s := wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn := upgrade(t, w, r)
					_, _ = conn.Write(tt.frame)
					answer, _ = io.ReadAll(conn)
				}))
				r := start(t, s, redial.Config{Limits: redial.Limits{Message: 1024}}, nil)
				err := <-r.done
				var closed *ws.CloseError
				if !errors.As(err, &closed) || closed.Code != tt.code {
					t.Errorf("Run: %v, want %d", err, tt.code)
				}
				synctest.Wait()
				if len(answer) < 8 || answer[0] != 0x88 || answer[1]&0x80 == 0 {
					t.Fatalf("answered % x, want a masked close frame", answer)
				}
				code := int(answer[6]^answer[2])<<8 | int(answer[7]^answer[3])
				if code != int(tt.code) {
					t.Errorf("the server saw %d, want %d", code, tt.code)
				}
			})
		})
	}
}

// A write that fails while the reader answers a ping is a network failure, not a protocol
// violation: the client must reconnect.
func TestPongThatCannotBeWrittenIsALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		var s *wstest.Server
		s = wstest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if dials++; dials > 1 {
				refusingWith(403, "forbidden").ServeHTTP(w, r)
				return
			}
			conn := upgrade(t, w, r)
			_ = s.Listener.Conns()[0].CloseWrite() // the client can read, but not write
			_, _ = conn.Write([]byte{0x89, 0})
		}))
		var first error
		r := start(t, s, redial.Config{}, func(ctx context.Context, c *redial.Conn) error {
			first = listen(ctx, c)
			return first
		})
		<-r.done
		var closed *ws.CloseError
		if !errors.As(first, &closed) || closed.Code != 1006 || dials != 2 {
			t.Errorf("ended %v, %d dials; want 1006 and another dial", first, dials)
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
