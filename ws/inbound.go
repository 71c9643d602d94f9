package ws

import (
	"bytes"
	"io"
	"net"
)

// guard is what coder's reader reads from: the hijacked connection, with the
// client's frames followed as they pass. What coder would write, pongs and close
// frames with its own error texts, goes nowhere: frames are written by Conn.
type guard struct {
	net.Conn
	c       *Conn
	early   *bytes.Reader // bytes that the client sent behind its handshake; nil: none is left
	frames  frames
	control bucket
	bytes   bucket
	failed  *CloseError
}

func (g *guard) Read(p []byte) (int, error) {
	if g.failed != nil {
		return 0, g.failed
	}
	n, err := g.next(p)
	now := g.c.h.now()
	if n > 0 {
		g.c.lastByte.Store(now)
	}
	owed := g.c.pingsOwed.Load()
	sound, cause := g.frames.feed(p[:n], &g.c.h.cfg.Limits, &g.control, now)
	if owed > 0 && g.c.pingsOwed.Load() == 0 {
		g.c.roundTrip(now)
	}
	if cause == nil && n > 0 && !g.bytes.takeN(now, int64(n)) {
		sound, cause = 0, ErrRate
	}
	switch {
	case g.frames.idle():
		g.c.messageSince.Store(0)
	case n > 0 && g.c.messageSince.Load() == 0:
		g.c.messageSince.Store(now)
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

func (g *guard) next(p []byte) (int, error) {
	if g.early != nil {
		n, _ := g.early.Read(p)
		if g.early.Len() == 0 {
			g.early = nil
		}
		return n, nil
	}
	return g.Conn.Read(p)
}

// Write swallows coder's control frames.
func (g *guard) Write(p []byte) (int, error) { return len(p), nil }

// Close leaves the connection to Conn, which still owes the peer a close frame.
func (g *guard) Close() error { return nil }

// maxDiscard is how many bytes of a peer are read after our close frame.
const maxDiscard = 1 << 20

// awaitClose reads and discards until the peer's close frame is through; false
// if it does not come before the read deadline, or within maxDiscard. Closing with bytes
// unread would reset the connection, and our close frame with it.
func (g *guard) awaitClose() bool {
	buf := buffers.Get().(*[]byte)
	defer putBuffer(buf)
	for discarded := 0; !g.frames.sawClose; {
		n, err := g.next((*buf)[:cap(*buf)])
		g.frames.feed((*buf)[:n], &g.c.h.cfg.Limits, &g.control, g.c.h.now())
		discarded += n
		if err != nil || discarded > maxDiscard {
			return g.frames.sawClose || err == io.EOF
		}
	}
	return true
}
