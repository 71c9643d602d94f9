package ws_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

const pulse = "securews=12345678901234567890"

// pulsing serves connections that collect their messages, and dials one as a page does.
func pulsing(t *testing.T, query string, cfg ws.Config, got *[]string) *websocket.Conn {
	t.Helper()
	cfg.Auth, cfg.Live = auth(t, user{}), registry(t, live.Config{})
	if cfg.Serve == nil {
		cfg.Serve = func(_ context.Context, c *ws.Conn) error {
			for {
				_, p, err := c.Read()
				if err != nil {
					return err
				}
				*got = append(*got, string(p))
			}
		}
	}
	s := wstest.NewServer(t, handler(t, cfg))
	c, _, err := s.Dial(t.Context(), "/ws"+query,
		&websocket.DialOptions{HTTPHeader: map[string][]string{"X-User": {"ann"}, "Origin": {wstest.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func write(t *testing.T, c *websocket.Conn, typ websocket.MessageType, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := c.Write(t.Context(), typ, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPageLearnsTheLimitAndIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		refuse := func(_ context.Context, _ websocket.MessageType, p []byte) error {
			if string(p) == pulse {
				return errors.New("Validate sees a ping")
			}
			return nil
		}
		c := pulsing(t, "?room=1&"+pulse, ws.Config{Limits: ws.Limits{Message: 1000}, Validate: refuse}, &got)
		for i, want := range []string{pulse + " 1000", pulse, pulse} {
			if i > 0 {
				write(t, c, websocket.MessageText, fmt.Sprint("before ", i), pulse)
			}
			typ, p, err := c.Read(t.Context())
			if err != nil || typ != websocket.MessageText || string(p) != want {
				t.Fatalf("read %v %q, %v; want %q", typ, p, err, want)
			}
			if len(got) != i { // the answer comes after the messages before the ping
				t.Errorf("Serve has read %q", got)
			}
		}
	})
}

// The number decides: whatever else an application sends, or a server passes on from an
// attacker, is a message.
func TestWhatIsNoPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := pulsing(t, "?"+pulse, ws.Config{}, &got)
		write(t, c, websocket.MessageBinary, pulse)
		write(t, c, websocket.MessageText, "\x00", "securews=12345678901234567891", pulse+" 1000", pulse+" ", " "+pulse, "")
		synctest.Wait()
		if want := []string{
			pulse, "\x00", "securews=12345678901234567891",
			pulse + " 1000", pulse + " ", " " + pulse, "",
		}; !slices.Equal(got, want) {
			t.Errorf("Serve has read %q", got)
		}
	})
}

func TestOthersHaveNoPulse(t *testing.T) {
	for name, tt := range map[string]struct {
		query   string
		message int
	}{
		"no query":                      {"", 0},
		"no number":                     {"?securews=", 0},
		"a number that can be guessed":  {"?securews=1234567", 0},
		"a number without end":          {"?securews=12345678901234567890123456789012345678901", 0},
		"more than digits":              {"?securews=12345678x", 0},
		"an encoded digit":              {"?securews=1234567%38", 0},
		"another parameter":             {"?xsecurews=12345678", 0},
		"another case":                  {"?SecureWS=12345678", 0},
		"not at the end":                {"?securews=12345678&room=1", 0},
		"pings beyond Limits.Message":   {"?" + pulse, len(pulse) - 1},
		"the parameter inside a value":  {"?next=?securews=12345678", 0},
		"the parameter of a semicolon":  {"?room=1;securews=12345678", 0},
		"an empty parameter at the end": {"?securews=12345678&", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				c := pulsing(t, tt.query, ws.Config{Limits: ws.Limits{Message: tt.message}}, &got)
				write(t, c, websocket.MessageText, "securews=12345678")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, p, err := c.Read(ctx); err == nil || len(got) != 1 {
					t.Errorf("read %q; Serve has read %q", p, got)
				}
			})
		})
	}
}

// flood sends pings until the connection ends; it returns the number of answers, the time
// until then, and the end.
func flood(t *testing.T, c *websocket.Conn, every time.Duration) (answers int, after time.Duration, err error) {
	t.Helper()
	began := time.Now()
	var pinging sync.WaitGroup
	pinging.Go(func() {
		for c.Write(context.Background(), websocket.MessageText, []byte(pulse)) == nil {
			time.Sleep(every)
		}
	})
	defer pinging.Wait()
	for ; err == nil; answers++ {
		_, _, err = c.Read(t.Context())
	}
	return answers - 2, time.Since(began), err // without the limit and the error
}

// To every bound a ping of a page is one of RFC 6455: it counts against
// Limits.ControlPerSecond, and neither ends a time without messages nor is the first one.
func TestAPulseIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    ws.Config
		every  time.Duration
		code   websocket.StatusCode
		reason string
		most   time.Duration
		burst  int
	}{
		"a flood": {
			cfg: ws.Config{Limits: ws.Limits{ControlPerSecond: 5}}, code: 1008, reason: "rate", most: time.Second, burst: 50,
		},
		"a page without messages is idle": {
			cfg:   ws.Config{Timeouts: ws.Timeouts{Idle: time.Minute}},
			every: 20 * time.Second, code: 3008, reason: "idle", most: 61 * time.Second, burst: 4,
		},
		"a page that never sends its first message": {
			cfg:   ws.Config{Timeouts: ws.Timeouts{FirstMessage: 30 * time.Second}},
			every: 5 * time.Second, code: 3008, reason: "timeout", most: 31 * time.Second, burst: 7,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				answers, after, err := flood(t, pulsing(t, "?"+pulse, tt.cfg, &got), tt.every)
				var closed websocket.CloseError
				if !errors.As(err, &closed) || closed.Code != tt.code || closed.Reason != tt.reason {
					t.Errorf("%v, want %d %s", err, tt.code, tt.reason)
				}
				if after > tt.most || answers > tt.burst {
					t.Errorf("after %v and %d answers", after, answers)
				}
			})
		})
	}
}

// A server that allows one message in a second is not the end of a page that sends so many.
func TestAPulseIsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := pulsing(t, "?"+pulse, ws.Config{Limits: ws.Limits{MessagesPerSecond: 1, MessageBurst: 1}}, &got)
		for range 20 {
			write(t, c, websocket.MessageText, "x", pulse)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(got) != 20 {
			t.Errorf("Serve has read %d messages", len(got))
		}
	})
}

// PushOnly answers pings: a page that only listens notices a dead path, too.
func TestPushOnlyAnswersAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pulsing(t, "?"+pulse, ws.Config{Serve: func(_ context.Context, c *ws.Conn) error { return c.PushOnly() }}, nil)
		write(t, c, websocket.MessageText, pulse)
		for _, want := range []string{pulse + " 65536", pulse} {
			if _, p, err := c.Read(t.Context()); err != nil || string(p) != want {
				t.Fatalf("read %q, %v; want %q", p, err, want)
			}
		}
		write(t, c, websocket.MessageText, "a message")
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1003 {
			t.Errorf("%v, want 1003", err)
		}
	})
}
