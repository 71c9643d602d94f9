package redial_test

import (
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
