package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

const heart = "\u2764" // three bytes, e2 9d a4

// Each row names the attack and the rule it breaks. The server echoes, up to 1,000
// bytes and 8 frames a message.
var attacks = []struct {
	sentence string
	send     []byte
	code     uint16
	reason   string
	echoed   []string
}{
	{
		sentence: "length lie of 2^63-1 bytes (gorilla CVE-2020-27813; §5.2)",
		send:     header(0x82, math.MaxInt64), code: 1009, reason: "too_big",
	},
	{
		sentence: "length lie of 2^64-1 bytes (nats-server CVE-2026-27889; §5.2)",
		send:     header(0x82, math.MaxUint64), code: 1002, reason: "protocol",
	},
	{sentence: "length lie of 2^63 bytes without its mask (§5.2)", send: header(0x82, 1<<63)[:10], code: 1002, reason: "protocol"},
	{sentence: "length lie of 2^31 bytes (32 bit overflow; §10.4)", send: header(0x82, 1<<31), code: 1009, reason: "too_big"},
	{
		sentence: "length lie in a continuation that overflows the sum (§10.4)",
		send:     append(masked(0x02, "x"), header(0x80, math.MaxInt64)...), code: 1009,
		reason: "too_big",
	},
	{
		sentence: "a length that is not the shortest (§5.2)", send: append([]byte{0x81, 0xfe, 0, 2, 0, 0, 0, 0}, "hi"...),
		code: 1002, reason: "protocol",
	},
	{sentence: "control frame of 126 bytes (§5.5)", send: masked(0x89, strings.Repeat("x", 126)), code: 1002, reason: "protocol"},
	{sentence: "control frame of 2^62 bytes (§5.5)", send: header(0x89, 1<<62), code: 1002, reason: "protocol"},
	{sentence: "close frame of 126 bytes (§5.5)", send: closing(1000, strings.Repeat("x", 124)), code: 1002, reason: "protocol"},
	{sentence: "fragmented ping (§5.5)", send: masked(0x09, "x"), code: 1002, reason: "protocol"},
	{
		sentence: "a message of one byte more than the limit (§10.4, ASVS 2.4.1)",
		send:     masked(0x82, strings.Repeat("x", 1001)), code: 1009, reason: "too_big",
	},
	{
		sentence: "the same in fragments (§10.4)", send: append(masked(0x02, strings.Repeat("x", 1000)), masked(0x80, "x")...),
		code: 1009, reason: "too_big",
	},
	{sentence: "the same with a ping between (§5.4)", send: bytes.Join([][]byte{
		masked(0x02, strings.Repeat("x", 999)), masked(0x89, ""),
		masked(0x80, "xx"),
	}, nil), code: 1009, reason: "too_big"},
	{
		sentence: "endless empty fragments (ws CVE-2026-48779)",
		send:     append(masked(0x02, ""), bytes.Repeat(masked(0x00, ""), 10_000)...), code: 1009,
		reason: "too_big",
	},
	{
		sentence: "endless fragments of one byte (ws CVE-2026-48779)",
		send:     append(masked(0x01, "a"), bytes.Repeat(masked(0x00, "a"), 10_000)...),
		code:     1009, reason: "too_big",
	},
	{sentence: "ping flood", send: bytes.Repeat(masked(0x89, "x"), 10_000), code: 1008, reason: "rate"},
	{sentence: "pong flood", send: bytes.Repeat(masked(0x8a, "x"), 10_000), code: 1008, reason: "rate"},
	{
		sentence: "ping flood inside a message", send: append(masked(0x01, "x"), bytes.Repeat(masked(0x89, ""), 10_000)...),
		code: 1008, reason: "rate",
	},
	{sentence: "text that is not UTF-8 (§8.1, Mattermost CVE-2025-12689)", send: masked(0x81, "\xff"), code: 1007, reason: "utf8"},
	{sentence: "text with a surrogate (§8.1, RFC 3629 §3)", send: masked(0x81, "\xed\xa0\x80"), code: 1007, reason: "utf8"},
	{sentence: "text in an overlong spelling (RFC 3629 §10)", send: masked(0x81, "\xc0\xaf"), code: 1007, reason: "utf8"},
	{sentence: "text beyond Unicode (RFC 3629 §3)", send: masked(0x81, "\xf4\x90\x80\x80"), code: 1007, reason: "utf8"},
	{sentence: "text that ends within a character (§8.1)", send: masked(0x81, "hi"+heart[:2]), code: 1007, reason: "utf8"},
	{
		sentence: "text that is not UTF-8 across fragments (§8.1)",
		send:     append(masked(0x01, "hi"+heart[:2]), masked(0x80, "x")...), code: 1007, reason: "utf8",
	},
	{sentence: "a character split across fragments is none of these (§5.6)", send: bytes.Join([][]byte{
		masked(0x01, heart[:1]), masked(0x00, heart[1:2]), masked(0x89, "\xff"), masked(0x80, heart[2:]), closing(1000, ""),
	}, nil), code: 1000, echoed: []string{heart}},
	{
		sentence: "binary may hold anything (§5.6)", send: append(masked(0x82, "\xff\xfe"), closing(1000, "")...),
		code: 1000, echoed: []string{"\xff\xfe"},
	},
	{sentence: "close frame of one byte (§5.5.1)", send: masked(0x88, "\x03"), code: 1002, reason: "protocol"},
	{sentence: "close frame without a code is none of these (§7.1.5)", send: masked(0x88, ""), code: 1005},
	{sentence: "close code 1005 (§7.4.1)", send: closing(1005, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 1006 (§7.4.1)", send: closing(1006, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 1015 (§7.4.1)", send: closing(1015, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 1004 (§7.4.1)", send: closing(1004, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 999 (§7.4.2)", send: closing(999, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 0 (§7.4.2)", send: closing(0, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 2999 (§7.4.2)", send: closing(2999, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 5000 (§7.4.2)", send: closing(5000, ""), code: 1002, reason: "protocol"},
	{sentence: "close code 65535 (§7.4.2)", send: closing(65535, ""), code: 1002, reason: "protocol"},
	{sentence: "close reason that is not UTF-8 (§5.5.1)", send: closing(1000, "\xff"), code: 1007, reason: "utf8"},
	{sentence: "close code 3000 is answered with itself (§5.5.1)", send: closing(3000, "bye"), code: 3000},
	{
		sentence: "data after the close frame is not processed (§5.5.1)",
		send:     append(closing(1000, ""), masked(0x81, "late")...), code: 1000,
	},
	{sentence: "a violation after the close frame is not either (§5.5.1)", send: append(closing(1000, ""), 0xff, 0x00), code: 1000},
	{sentence: "an unmasked frame (§5.1)", send: []byte("\x81\x02hi"), code: 1002, reason: "protocol"},
	{sentence: "RSV1, as if deflate had been negotiated (§5.2)", send: masked(0xc1, "hi"), code: 1002, reason: "protocol"},
	{sentence: "a reserved opcode (§5.2)", send: masked(0x83, "hi"), code: 1002, reason: "protocol"},
	{sentence: "a continuation of nothing (§5.4)", send: masked(0x80, "hi"), code: 1002, reason: "protocol"},
	{
		sentence: "a second message inside the first (§5.4)", send: append(masked(0x01, "a"), masked(0x81, "b")...),
		code: 1002, reason: "protocol",
	},
	{
		sentence: "HTTP in the place of frames (request smuggling)",
		send:     []byte("GET /admin HTTP/1.1\r\nHost: app.example\r\n\r\n"), code: 1002, reason: "protocol",
	},
	{
		sentence: "what stands before a violation is served", send: append(masked(0x81, "one"), masked(0x83, "two")...),
		code: 1002, reason: "protocol", echoed: []string{"one"},
	},
}

func TestAttacksOnFrames(t *testing.T) {
	for _, tt := range attacks {
		t.Run(tt.sentence, func(t *testing.T) {
			for _, way := range []struct {
				name  string
				write func(c *raw)
			}{
				{"at once", func(c *raw) { c.send(tt.send) }},
				{"byte by byte", func(c *raw) {
					for i := range min(len(tt.send), 4000) {
						c.send(tt.send[i : i+1])
					}
				}},
			} {
				synctest.Test(t, func(t *testing.T) {
					n := start(t, ws.Config{Limits: ws.Limits{Message: 1000, Frames: 8}, Auth: auth(t, middleware.Anonymous())})
					c := attack(t, n.Server)
					go way.write(c)
					c.wantClosed(tt.code, tt.reason, tt.echoed...)
					_ = c.Close()
					synctest.Wait()
					if s := n.logs.String(); strings.Count(s, "websocket closed") != 1 || strings.Contains(s, "panic") {
						t.Errorf("%s: want one line for the ending:\n%s", way.name, s)
					}
				})
			}
		})
	}
}

// An announced length costs no memory before its bytes arrive.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	const conns, size = 32, 64 << 20
	g, l := plainNode(t, live.Config{Limits: live.Limits{Connections: conns}}, ws.Config{Limits: ws.Limits{Message: size}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range conns {
		conn, res := open(t, l)
		if res.StatusCode != 101 {
			t.Fatal(res.Status)
		}
		if _, err := conn.Write(append(header(0x82, size), "x"...)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	shutdown(t.Context(), t, g)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > conns*1<<20 {
		t.Errorf("%d connections that announced %d bytes and sent one took %d bytes", conns, size, n)
	}
}

// OWASP W15: what JSON is read from must be text.
func TestReadJSONRefuses(t *testing.T) {
	tests := []struct {
		sentence string
		frame    []byte
		want     string
	}{
		{"binary", masked(0x82, `{"a":1}`), "binary"},
		{"no JSON", masked(0x81, `{"a":`), "unexpected end"},
		{"two values", masked(0x81, `{"a":1}{"a":2}`), "after top-level"},
		{"another type", masked(0x81, `{"a":"x"}`), "cannot unmarshal"},
		{"nothing", masked(0x81, ""), "unexpected end"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Auth: auth(t, middleware.Anonymous()), Serve: func(_ context.Context, c *ws.Conn) error {
					var v struct{ A int }
					err := c.ReadJSON(&v)
					if !errors.Is(err, ws.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("got %v", err)
					}
					return err
				}})
				c := attack(t, n.Server)
				c.send(tt.frame)
				c.wantClosed(1008, "invalid")
			})
		})
	}
}

// ASVS 2.2.1, 2.2.2: no message reaches Serve unseen, and what Validate says against
// one stays here.
func TestValidateSeesEveryMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{
			Auth: auth(t, middleware.Anonymous()),
			Validate: func(_ context.Context, typ websocket.MessageType, p []byte) error {
				if strings.Contains(string(p), "<script") {
					return fmt.Errorf("rule 7 of /etc/waf.conf matches %v %q", typ, p)
				}
				return nil
			},
		})
		c := attack(t, n.Server)
		c.send(masked(0x81, "hello"), masked(0x01, "<scr"), masked(0x80, "ipt>"), masked(0x81, "never"))
		c.wantClosed(1008, "invalid", "hello")
	})
}

// OWASP W19: the rate is per message, and bursts are what Limits says.
func TestMessageFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Auth: auth(t, middleware.Anonymous()), Limits: ws.Limits{MessagesPerSecond: 10, MessageBurst: 20}})
		c := attack(t, n.Server)
		for range 100 { // ten seconds at the stated rate
			c.send(masked(0x81, "x"))
			if _, p, err := c.next(); err != nil || p != "x" {
				t.Fatal(p, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second) // rested
		go c.send(bytes.Repeat(masked(0x81, "y"), 21))
		c.wantClosed(1008, "rate", strings.Split(strings.Repeat("y", 20), "")...)
	})
}

// Pings at the stated rate are answered for as long as they come, each
// with its own payload (§5.5.3).
func TestPingsAtTheStatedRateAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, ws.Config{Auth: auth(t, middleware.Anonymous())})
		c := attack(t, n.Server)
		for i := range 600 {
			c.send(masked(0x89, fmt.Sprint(i)))
			if op, p, err := c.next(); err != nil || op != 0xA || p != fmt.Sprint(i) {
				t.Fatalf("ping %d is answered %x %q, %v", i, op, p, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// A ping whose payload drips in is answered. One that takes longer than Timeouts.Message, or
// inside a message the 5 s that coder gives it, ends the connection with its close frame.
func TestDrippingPing(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		before   []byte
		every    time.Duration
		times    int
		code     uint16 // 0: the connection goes on
	}{
		{sentence: "within Timeouts.Message, several times", every: time.Second, times: 3},
		{sentence: "beyond it", every: 2500 * time.Millisecond, times: 1, code: 3008},
		{sentence: "inside a message", before: masked(0x01, "x"), every: time.Second, times: 1, code: 3008},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := start(t, ws.Config{Auth: auth(t, middleware.Anonymous())})
				c := attack(t, n.Server)
				c.send(tt.before)
				for range tt.times {
					ping := masked(0x89, "a slow one")
					for i := range ping {
						c.send(ping[i : i+1])
						time.Sleep(tt.every)
					}
					if tt.code != 0 && tt.before == nil {
						break // closed before it was whole
					}
					if op, p, err := c.next(); err != nil || op != 0xA || p != "a slow one" {
						t.Errorf("answered %x %q, %v", op, p, err)
					}
				}
				if tt.code != 0 {
					c.wantClosed(tt.code, "timeout")
					return
				}
				c.send(masked(0x81, "hi"), closing(1000, ""))
				c.wantClosed(1000, "", "hi")
			})
		})
	}
}
