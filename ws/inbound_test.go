package ws_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// RFC 6455 §8.1, Autobahn 6.4.1 to 6.4.4, strictly: the connection fails at the first byte
// that no continuation can make valid, and not at the end of the frame or the message.
func TestBadByteEndsTheConnectionAtOnce(t *testing.T) {
	const valid, bad, rest = "\u03ba\u1f79\u03c3\u03bc\u03b5", "\xf4\x90\x80\x80", "edited"
	whole := masked(0x81, valid+bad+rest)
	at := func(n int) []byte { return whole[:len(whole)-len(valid+bad+rest)+n] }
	for _, tt := range []struct {
		sentence string
		before   [][]byte // text that may still become valid
		then     []byte
	}{
		{"6.4.1: in the second of three fragments", [][]byte{masked(0x01, valid)}, masked(0x00, bad)},
		{"6.4.2: split between fragments", [][]byte{masked(0x01, valid+bad[:1])}, masked(0x00, bad[1:2])},
		{"6.4.3: in the middle of a frame", [][]byte{at(len(valid))}, whole[len(at(len(valid))):len(at(len(valid+bad)))]},
		{"6.4.4: split in the middle of a frame", [][]byte{at(len(valid) + 1)}, whole[len(at(len(valid)+1)):len(at(len(valid)+2))]},
		{"behind a ping inside the message", [][]byte{masked(0x01, valid), masked(0x89, "\xff")}, masked(0x00, "\xff")},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Auth: auth(t, middleware.Anonymous())})
				c := attack(t, n.Server)
				c.send(tt.before...)
				time.Sleep(10 * time.Second)
				if s := n.logs.String(); strings.Contains(s, "websocket closed") {
					t.Fatalf("closed before the bad byte:\n%s", s)
				}
				c.send(tt.then)
				c.wantClosed(1007, "utf8")
			})
		})
	}
}

// A peer that must say something first says it in time; answers to pings do not count.
func TestFirstMessageHasADeadline(t *testing.T) {
	for _, tt := range []struct {
		sentence         string
		say              []byte // after 4 s
		code             uint16
		reason           string
		earliest, latest time.Duration
	}{
		{sentence: "nothing", code: 3008, reason: "timeout", earliest: 5 * time.Second, latest: 8 * time.Second},
		{sentence: "a ping", say: masked(0x89, ""), code: 3008, reason: "timeout", earliest: 5 * time.Second, latest: 8 * time.Second},
		{
			sentence: "half a message", say: masked(0x01, "x"),
			code: 3008, reason: "timeout", earliest: 5 * time.Second, latest: 8 * time.Second,
		},
		{sentence: "a message", say: masked(0x81, "x"), code: 3008, reason: "idle", earliest: 64 * time.Second, latest: 67 * time.Second},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{
					Auth:     auth(t, middleware.Anonymous()),
					Timeouts: ws.Timeouts{FirstMessage: 5 * time.Second, Idle: time.Minute, Heartbeat: time.Hour},
				})
				begun := time.Now()
				c := attack(t, n.Server)
				time.AfterFunc(4*time.Second, func() { c.send(tt.say) })
				code, reason, _ := c.closed() // it does not answer: TCP goes 2 s later
				if d := time.Since(begun); code != tt.code || reason != tt.reason || d < tt.earliest || d > tt.latest {
					t.Errorf("closed with %d %q after %v, want %d %q", code, reason, d, tt.code, tt.reason)
				}
			})
		})
	}
}

// OWASP W19: bytes are counted, too, so that few large messages cost no more than many
// small ones.
func TestByteBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{
			Auth:   auth(t, middleware.Anonymous()),
			Limits: ws.Limits{Message: 1000, BytesPerSecond: 1000, ByteBurst: 3000, MessagesPerSecond: 1000},
		})
		c := attack(t, n.Server)
		large := masked(0x82, strings.Repeat("x", 992)) // 1,000 bytes of the wire
		for range 60 {                                  // a minute at the stated rate
			c.send(large)
			if _, p, err := c.next(); err != nil || len(p) != 992 {
				t.Fatal(len(p), err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(3 * time.Second) // rested
		for range 3 {
			c.send(large)
			if _, p, err := c.next(); err != nil || len(p) != 992 {
				t.Fatal(len(p), err)
			}
		}
		c.send(large)
		c.wantClosed(1008, "rate")
	})
}

// Answers to our pings do not count as the peer's control frames, however many there are.
// Pongs without a ping count.
func TestAnswersToOurPingsAreNotCounted(t *testing.T) {
	cfg := ws.Config{
		Limits:   ws.Limits{ControlPerSecond: 1},
		Timeouts: ws.Timeouts{Heartbeat: 300 * time.Millisecond, Idle: 10 * time.Minute},
	}
	synctest.Test(t, func(t *testing.T) {
		wantEnding(t, start(t, cfg).connect("ann"), 3008, "idle", 10*time.Minute, 10*time.Minute+time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		cfg := cfg
		cfg.Auth = auth(t, middleware.Anonymous())
		c := attack(t, startLive(t, live.Config{}, cfg).Server)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 30 { // one answer and one more, each time
				time.Sleep(300 * time.Millisecond)
				c.send(masked(0x8a, ""), masked(0x8a, ""))
			}
		}()
		c.wantClosedWithin(10*time.Second, 1008, "rate")
		<-done
	})
}
