package ws

import (
	"bytes"
	"io"
	"net"
	"time"

	"github.com/securews/securews/internal/buffer"
)

// guard is what coder's reader reads from: the hijacked connection, with the
// client's frames followed as they pass. What coder would write, pongs and close
// frames with its own error texts, goes nowhere: frames are written by outbound.
type guard struct {
	net.Conn
	out      *outbound
	early    *bytes.Reader // bytes that the client sent behind its handshake; nil: none is left
	frames   frames
	controls bucket
	bytes    bucket
	failed   *CloseError
}

// begin sets the connection, and the bytes of it that are already read.
func (g *guard) begin(conn net.Conn, early []byte, sealed bool) {
	g.Conn = conn
	g.controls.rate, g.bytes.rate = &g.out.link.rules.controls, &g.out.link.rules.bytes
	g.frames.pingsOwed = &g.out.pingsOwed
	g.frames.text.checked = !sealed
	if len(early) > 0 {
		g.early = bytes.NewReader(bytes.Clone(early))
	}
}

func (g *guard) Read(p []byte) (int, error) {
	if g.failed != nil {
		return 0, g.failed
	}
	n, err := g.receive(p)
	l := g.out.link
	now := l.now()
	if n > 0 {
		l.times.lastByte.Store(now)
	}
	owed := g.out.pingsOwed.Load()
	sound, cause := g.frames.feed(p[:n], &l.rules.limits, &g.controls, now)
	if owed > 0 && g.out.pingsOwed.Load() == 0 {
		g.roundTrip(now)
	}
	if cause == nil && n > 0 && !g.bytes.takeN(now, int64(n)) {
		sound, cause = 0, ErrRate
	}
	switch {
	case g.frames.idle():
		l.times.messageSince.Store(0)
	case n > 0 && l.times.messageSince.Load() == 0:
		l.times.messageSince.Store(now)
	}
	if cause != nil {
		g.failed = cause
		if sound == 0 {
			return 0, cause
		}
		return sound, nil
	}
	return n, err
}

// receive reads the bytes of the client, those behind its handshake first.
func (g *guard) receive(p []byte) (int, error) {
	if g.early != nil {
		n, _ := g.early.Read(p)
		if g.early.Len() == 0 {
			g.early = nil
		}
		return n, nil
	}
	return g.Conn.Read(p)
}

// roundTrip reports the time from a ping to its pong, if Serve has been reading all the
// while: a pong that waits to be read says nothing about the network.
func (g *guard) roundTrip(now int64) {
	l := g.out.link
	pinged, reading := l.times.pinged.Load(), l.times.readSince.Load()
	if pinged != 0 && reading != 0 && reading <= pinged {
		l.binding.Heartbeat(time.Duration(now - pinged))
	}
}

// Write drops coder's control frames.
func (g *guard) Write(p []byte) (int, error) { return len(p), nil }

// Close leaves the connection to its Conn, which still owes the peer a close frame.
func (g *guard) Close() error { return nil }

// maxDiscard is how many bytes of a peer are read after our close frame.
const maxDiscard = 1 << 20

// awaitClose reads and discards until the peer's close frame is through; false
// if it does not come before the read deadline, or within maxDiscard. Closing with bytes
// unread would reset the connection, and our close frame with it.
func (g *guard) awaitClose() bool {
	buf := buffer.Get()
	defer buffer.Put(buf)
	l := g.out.link
	for discarded := 0; !g.frames.sawClose; {
		n, err := g.receive((*buf)[:cap(*buf)])
		g.frames.feed((*buf)[:n], &l.rules.limits, &g.controls, l.now())
		discarded += n
		if err != nil || discarded > maxDiscard {
			return g.frames.sawClose || err == io.EOF
		}
	}
	return true
}
