package ws

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/buffer"
)

// inbound reads the messages of a peer. It belongs to one goroutine at a time.
type inbound struct {
	guard     guard           // around the hijacked connection
	coder     *websocket.Conn // reads messages, through the guard
	buffered  bufio.Reader    // coder's, between guard and coder
	discarded bufio.Writer    // coder's; the guard drops its bytes
	reading   sync.Mutex      // held by the reader; finish alone waits for it, having made the read return
	memory    *[]byte         // of the message that Read returned last, from the pool
	messages  bucket
}

// readContext is the context of coder's reader: it carries the connection, and never ends.
// It costs nothing, and one that does end would have coder cut TCP before the close frame.
type readContext inbound

type readContextKey struct{}

func (*readContext) Deadline() (deadline time.Time, ok bool) { return }
func (*readContext) Done() <-chan struct{}                   { return nil }
func (*readContext) Err() error                              { return nil }

func (r *readContext) Value(key any) any {
	if key == (readContextKey{}) {
		return (*inbound)(r)
	}
	return nil
}

// next reads the next message.
func (in *inbound) next() (typ websocket.MessageType, p []byte, err error) {
	in.release()
	in.awaitMessage()
	typ, r, err := in.coder.Reader((*readContext)(in))
	if err != nil {
		return 0, nil, err
	}
	p, err = in.slurp(r)
	return typ, p, err
}

// awaitMessage returns when the first bytes of the next message are there, and answers the
// pings before it. The wait is here and not in coder's reader, which is deep in the stack:
// on TLS every idle connection would keep a stack of 8 KiB for 4. An error comes again from
// coder's reader, and so does a close frame.
func (in *inbound) awaitMessage() {
	for {
		head, err := in.buffered.Peek(2)
		if err != nil {
			return
		}
		// The guard has let through whole headers of masked frames only, and no control
		// frame but a final one of at most 125 bytes.
		opcode := head[0] & 0x0f
		if opcode != opPing && opcode != opPong {
			return
		}
		n := int(head[1] & 0x7f)
		frame, err := in.buffered.Peek(6 + n)
		if err != nil {
			return
		}
		if opcode == opPing {
			in.answer(frame)
		}
		_, _ = in.buffered.Discard(6 + n)
	}
}

// answer answers a ping frame (RFC 6455 §5.5.3).
func (in *inbound) answer(ping []byte) {
	var plain [125]byte
	n := unmask(plain[:], ping[6:], binary.LittleEndian.Uint32(ping[2:6]))
	in.pong(plain[:n])
}

func (in *inbound) pong(payload []byte) { _ = in.guard.out.writeFrame(opPong, payload, 0) }

// slurp reads one message into pooled memory, which grows with the bytes that have
// arrived and not with the announced length.
func (in *inbound) slurp(r io.Reader) ([]byte, error) {
	in.memory = buffer.Get()
	b := *in.memory
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*in.memory = b
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// release gives the last message's memory back.
func (in *inbound) release() {
	if in.memory != nil {
		buffer.Put(in.memory)
		in.memory = nil
	}
}

// judge holds a whole message to the rate and to Validate.
func (in *inbound) judge(typ websocket.MessageType, p []byte) *CloseError {
	l := in.guard.out.link
	now := l.now()
	l.times.lastMessage.Store(now)
	l.traffic.received.Add(1)
	l.traffic.receivedBytes.Add(int64(len(p)))
	if !in.messages.take(now) {
		return ErrRate
	}
	if l.rules.validate == nil {
		return nil
	}
	err := l.rules.validate(l.ctx, typ, p)
	if err == nil {
		return nil
	}
	return closeErrorOr(err, ErrInvalid)
}

// failed turns coder's error into the cause, and returns the one that won.
func (in *inbound) failed(err error) error {
	out := in.guard.out
	if err := out.link.ended(); err != nil {
		return err
	}
	peer, closed := errors.AsType[websocket.CloseError](err)
	switch {
	case in.guard.failed != nil:
		return out.endNow(in.guard.failed)
	case closed && !utf8.ValidString(peer.Reason):
		return out.endNow(ErrUTF8) // RFC 6455 §5.5.1
	case closed:
		return out.endNow(peerClosed(peer))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return out.endNow(ErrTimeout) // coder gives a control frame 5 s to be complete
	case in.guard.frames.sawClose:
		return out.endNow(ErrProtocol.Wrap(err)) // a close frame that cannot be read
	}
	out.endAbnormally(err)
	return out.link.ended()
}

// finish lets go of the connection. The memory of the last message does not go to the pool:
// what Serve left behind may still hold it.
func (in *inbound) finish() {
	_ = in.coder.CloseNow() // takes its finalizer off
	in.memory = nil
}
