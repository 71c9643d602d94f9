package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// peer is a client that reads every byte by itself, as strictly as RFC 6455 permits.
type peer struct {
	net.Conn
	buffered *bufio.Reader
	open     bool // a fragmented message is
}

// frame is one that the server has sent (RFC 6455 §5.2).
type frame struct {
	first   byte // FIN, RSV and opcode
	payload []byte
}

var errMalformed = errors.New("malformed")

// opening returns the bytes of a handshake.
func (w *world) opening(path, cookie string) []byte {
	r, _ := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.URL+path, nil)
	r.Header = http.Header{
		"Origin": {w.URL}, "Cookie": {cookie}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	var b bytes.Buffer
	_ = r.Write(&b)
	return b.Bytes()
}

// dial connects, writes the opening in one segment or record, and reads the head of the 101.
// The kernel keeps at most about the given number of unread bytes; 0: its default.
func (w *world) dial(t *testing.T, opening []byte, window int) *peer {
	t.Helper()
	raw, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	if window > 0 {
		_ = raw.(*net.TCPConn).SetReadBuffer(window)
	}
	conn := raw
	if w.TLS != nil {
		conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server of this test
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(opening); err != nil {
		t.Fatal(err)
	}
	p := &peer{Conn: conn, buffered: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(p.buffered, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return p
}

// read reads one frame. The error is io.EOF only between two frames.
func (p *peer) read() (f frame, err error) {
	if f.first, err = p.buffered.ReadByte(); err != nil {
		return f, err
	}
	length, err := p.readLength()
	switch opcode := f.first & 0x0f; {
	case err != nil:
		return f, err
	case f.first&0x70 != 0, opcode > 10, opcode > 2 && opcode < 8:
		return f, fmt.Errorf("%w: first byte %#x", errMalformed, f.first)
	case opcode > 7 && (f.first < 0x80 || length > 125):
		return f, fmt.Errorf("%w: control frame %#x of %d B", errMalformed, f.first, length)
	case opcode == 0 && !p.open, (opcode == 1 || opcode == 2) && p.open:
		return f, fmt.Errorf("%w: opcode %d out of order", errMalformed, opcode)
	case length > 32<<20:
		return f, fmt.Errorf("%w: length %d", errMalformed, length)
	case opcode < 8:
		p.open = f.first < 0x80
	}
	f.payload = make([]byte, length)
	n, err := io.ReadFull(p.buffered, f.payload)
	f.payload = f.payload[:n]
	return f, whole(err)
}

// readLength reads a length, which is to be minimal and unmasked.
func (p *peer) readLength() (length uint64, err error) {
	short, err := p.buffered.ReadByte()
	if err != nil {
		return 0, whole(err)
	}
	size, least := map[byte]int{126: 2, 127: 8}[short], map[byte]uint64{126: 126, 127: 1 << 16}[short]
	if size == 0 {
		length = uint64(short)
	}
	var b [8]byte
	if _, err := io.ReadFull(p.buffered, b[8-size:]); err != nil {
		return 0, whole(err)
	}
	if size > 0 {
		length = binary.BigEndian.Uint64(b[:])
	}
	if short >= 0x80 || length < least {
		return 0, fmt.Errorf("%w: length %#x, %d", errMalformed, short, length)
	}
	return length, nil
}

// whole is the error of reading within a frame.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// isClose reports whether a frame ends the connection with the code and reason.
func (f frame) isClose(code uint16, reason string) bool {
	return f.first == 0x88 && bytes.Equal(f.payload, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// answerClose answers a close frame, and returns the bytes that come nevertheless.
func (p *peer) answerClose() []byte {
	_, _ = p.Write(masked(0x88, []byte{0x0b, 0xb8}))
	rest, _ := io.ReadAll(p.buffered)
	return rest
}

// masked returns a short frame of a client, with a mask of zeros (RFC 6455 §5.3).
func masked(first byte, payload []byte) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}
