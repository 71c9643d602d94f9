package ws_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/ws/wstest"
)

// raw is a client that sends the given frames.
type raw struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// attack opens a connection over TLS.
func attack(t testing.TB, srv *wstest.Server, edits ...string) *raw {
	t.Helper()
	return upgraded(t, secure(t, srv), edits...)
}

func upgraded(t testing.TB, conn net.Conn, edits ...string) *raw {
	t.Helper()
	if _, err := io.WriteString(conn, edited(edits...)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("answered %v, %v", res, err)
	}
	return &raw{t, conn, r}
}

// masked is a client's frame (RFC 6455 §5.2, §5.3).
func masked(first byte, payload string) []byte {
	b := header(first, uint64(len(payload)))
	mask := b[len(b)-4:]
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// header announces a payload, in the shortest way.
func header(first byte, size uint64) []byte {
	b := []byte{first}
	switch {
	case size <= 125:
		b = append(b, 0x80|byte(size))
	case size <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), size)
	}
	return append(b, 0x37, 0xfa, 0x21, 0x3d) // §5.7
}

func closing(code uint16, reason string) []byte {
	return masked(0x88, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// send writes while the test reads on: the server may have closed meanwhile.
func (c *raw) send(p ...[]byte) {
	for _, b := range p {
		_, _ = c.Write(b)
	}
}

// next reads the server's next frame, which must be as servers send them (§5.1, §5.2).
func (c *raw) next() (opcode byte, payload string, err error) {
	c.t.Helper()
	var h [2]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return 0, "", err
	}
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 {
		c.t.Errorf("the server's frame begins with % x", h)
	}
	size := uint64(h[1])
	switch h[1] {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(c.r, b[:])
		size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(c.r, b[:])
		size = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, "", err
	}
	p := make([]byte, size)
	_, err = io.ReadFull(c.r, p)
	return h[0] & 0x0f, string(p), err
}

// closed reads to the close frame, past the echoed messages, and then to the end of the
// stream; nothing may stand between (§5.5.1).
func (c *raw) closed() (code uint16, reason string, messages []string) {
	c.t.Helper()
	for {
		opcode, payload, err := c.next()
		switch {
		case err != nil:
			return 1006, err.Error(), messages
		case opcode == 0x1 || opcode == 0x2:
			messages = append(messages, payload)
		case opcode == 0x8:
			if rest, err := io.ReadAll(c.r); len(rest) > 0 {
				c.t.Errorf("behind the close frame: % x, %v", rest, err)
			}
			if len(payload) < 2 {
				return 1005, "", messages
			}
			return binary.BigEndian.Uint16([]byte(payload)), payload[2:], messages
		}
	}
}

// wantClosed wants the close frame at once, in fake time, before anything runs out.
func (c *raw) wantClosed(code uint16, reason string, messages ...string) {
	c.t.Helper()
	c.wantClosedWithin(3*time.Second, code, reason, messages...) // TCP itself waits 2 s for the peer's answer
}

func (c *raw) wantClosedWithin(latest time.Duration, code uint16, reason string, messages ...string) {
	c.t.Helper()
	begun := time.Now()
	gotCode, gotReason, got := c.closed()
	if gotCode != code || gotReason != reason || strings.Join(got, "|") != strings.Join(messages, "|") {
		c.t.Errorf("got %q, then %d %q; want %q, then %d %q", got, gotCode, gotReason, messages, code, reason)
	}
	if d := time.Since(begun); d > latest {
		c.t.Errorf("closed after %v", d)
	}
}
