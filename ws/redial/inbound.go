package redial

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws"
)

// errConcurrentRead reports a bug in serve; it does not end the connection.
var errConcurrentRead = errors.New("redial: read: another goroutine is reading")

// inbound is the receiving half of a connection. One goroutine reads, and passes each message
// to serve.
type inbound struct {
	link   *link
	sealed bool // text is sealed, and thus not checked here

	reading  chan struct{} // held while serve reads
	messages chan message  // from the reader
	taken    chan struct{} // to the reader: the memory of the last message is free
	holding  bool          // guarded by reading: serve has a message
	waiting  atomic.Bool   // the reader waits for serve, and does not read from the server
	handed   atomic.Int64  // when it last did so, on the wire's clock
}

// begin makes the channels, for messages of at most so many bytes.
func (in *inbound) begin(l *link, sealed bool, most int) {
	in.link, in.sealed = l, sealed
	in.reading, in.messages, in.taken = make(chan struct{}, 1), make(chan message), make(chan struct{})
	l.coder.SetReadLimit(int64(most))
}

// read returns the next message to serve, see [Conn.Read].
func (in *inbound) read() (typ websocket.MessageType, p []byte, err error) {
	if err := in.link.ended(); err != nil {
		return 0, nil, err
	}
	select {
	case in.reading <- struct{}{}:
	default:
		return 0, nil, errConcurrentRead
	}
	defer func() { <-in.reading }()
	if in.holding {
		in.holding = false
		select {
		case in.taken <- struct{}{}:
		case <-in.link.over:
			return 0, nil, in.link.ended()
		}
	}
	select {
	case m := <-in.messages:
		in.holding = true
		return m.typ, m.payload, nil
	case <-in.link.over:
		return 0, nil, in.link.ended()
	}
}

// readAll is the only goroutine that reads, so that no read has to be interrupted. After
// the connection has ended on this side it continues to read, to receive the server's close
// frame, until TCP is closed.
func (in *inbound) readAll() {
	var memory []byte
	for {
		typ, p, err := in.next(memory)
		if err != nil {
			in.failed(err)
			return
		}
		if typ == websocket.MessageText && !in.sealed && !utf8.Valid(p) {
			in.link.end(ws.ErrUTF8)
		}
		if memory = p[:0]; cap(memory) > 64<<10 {
			memory = nil // do not keep the memory of a rare large message
		}
		if !in.hand(message{typ, p}) {
			memory = nil // serve may still look at it
		}
	}
}

// hand passes a message to serve and waits until its memory may be reused; it returns false
// if serve may still use it.
func (in *inbound) hand(m message) bool {
	if in.link.ended() != nil {
		return false
	}
	in.waiting.Store(true)
	defer func() {
		in.handed.Store(in.link.wire.now())
		in.waiting.Store(false)
	}()
	select {
	case in.messages <- m:
	case <-in.link.over:
		return false
	}
	select {
	case <-in.taken:
		return true
	case <-in.link.over:
		return false
	}
}

// next reads one message into memory, which grows with the bytes that have arrived and not
// with the announced length.
func (in *inbound) next(memory []byte) (websocket.MessageType, []byte, error) {
	// A context that never ends, because coder cuts TCP without a close frame when it does.
	typ, r, err := in.link.coder.Reader(context.Background())
	if err != nil {
		return 0, nil, err
	}
	for p := memory[:0]; ; {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			return typ, p, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// failed ends the connection with the cause that coder's error stands for.
func (in *inbound) failed(err error) {
	l := in.link
	var peer websocket.CloseError
	switch {
	case errors.As(err, &peer):
		l.end(peerClosed(peer))
	case errors.Is(err, websocket.ErrMessageTooBig):
		l.end(ws.ErrTooBig)
	case l.wire.broken.Load(), l.ended() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // without a close frame the end is not normal
		}
		l.cut(err)
	default:
		l.end(&ws.CloseError{Code: ws.ErrProtocol.Code, Reason: ws.ErrProtocol.Reason, Err: err})
	}
}
