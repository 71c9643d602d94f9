package redial

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/ws"
)

var errStalled = errors.New("redial: write: not complete within Timeouts.Write")

// outbound is the sending half of a connection: direct writes, and one goroutine that sends
// the client's queue.
type outbound struct {
	link        *link
	queue       *queue
	layer       layerSlot
	pace        *pace
	unconfirmed *unconfirmed
	sealed      bool          // the queue waits for the layer
	most        int           // bytes of the largest message that the server accepts
	timeout     time.Duration // Timeouts.Write
	report      func(Undelivered)
	closing     *sync.WaitGroup // of the client
}

// write sends one message; begun reports whether part of it may have been sent.
func (out *outbound) write(typ websocket.MessageType, p []byte) (begun bool, err error) {
	if err := out.link.ended(); err != nil {
		return false, err
	}
	if err := checkSize(len(p), out.most); err != nil {
		return false, err
	}
	timer := time.AfterFunc(out.timeout, func() { out.link.cut(errStalled) })
	defer timer.Stop()
	if err := out.link.coder.Write(context.Background(), typ, p); err != nil {
		select {
		case <-out.link.over: // this side has already ended the connection
		default:
			out.link.cut(err)
		}
		return true, out.link.ended()
	}
	return true, nil
}

// sendQueue sends the queued messages until the connection ends.
func (out *outbound) sendQueue() {
	if !out.awaitLayer() {
		return
	}
	for {
		m, ok := out.queue.first()
		if !ok {
			select {
			case <-out.queue.more:
				continue
			case <-out.link.over:
				return
			}
		}
		if err := out.refuses(m); err != nil {
			out.queue.take()
			out.report(undelivered(m, false, err))
			continue
		}
		if !out.awaitFit(len(m.payload)) || !out.link.wait(out.pace.take(out.sizeOf(m.payload))) {
			return
		}
		begun, err := out.writeQueued(m.typ, m.payload)
		if err != nil && !begun {
			return
		}
		out.queue.take()
		if err != nil {
			out.report(undelivered(m, true, err))
			return
		}
		out.unconfirmed.add(m)
	}
}

// refuses returns why a queued message cannot be sent over this connection or a later one.
func (out *outbound) refuses(m queued) error {
	if m.only != nil && m.only != &out.link.lifetime {
		return m.only.ended()
	}
	return checkSize(out.sizeOf(m.payload), out.most)
}

// awaitLayer waits for the layer of a sealed connection and reports whether the queue may
// be sent.
func (out *outbound) awaitLayer() bool {
	if !out.sealed {
		return true
	}
	select {
	case <-out.layer.set:
		return true
	case <-out.link.over:
		return false
	}
}

// awaitFit waits until a message of n bytes may be written; false if the connection ends.
func (out *outbound) awaitFit(n int) bool {
	for !out.unconfirmed.fits(n) {
		signal(out.unconfirmed.full)
		select {
		case <-out.unconfirmed.room:
		case <-out.link.over:
			return false
		}
	}
	return true
}

// writeQueued sends a queued message; begun reports whether part of it may have been sent.
func (out *outbound) writeQueued(typ websocket.MessageType, p []byte) (begun bool, err error) {
	l := out.layer.get()
	if l == nil {
		return out.write(typ, p)
	}
	if err := out.link.ended(); err != nil {
		return false, err
	}
	err = l.Write(typ, p)
	return err != error(ws.ErrClosed), err
}

// sizeOf returns the size of the message in which p is sent.
func (out *outbound) sizeOf(p []byte) int {
	if out.sealed {
		return len(p) + defaults.SealedOverhead
	}
	return len(p)
}

// flush waits until the queue is empty, for at most Timeouts.Write.
func (out *outbound) flush() {
	t := time.NewTimer(out.timeout)
	defer t.Stop()
	select {
	case <-out.queue.whenEmpty():
	case <-out.link.over:
	case <-t.C:
	}
}

// closeWrite calls the layer's CloseWrite on a connection that is about to be closed, and
// waits for it or for the end of the connection. Run waits for it in any case.
func (out *outbound) closeWrite() {
	l := out.layer.get()
	if l == nil || out.link.ended() != nil {
		return
	}
	done := make(chan struct{})
	out.closing.Go(func() {
		defer close(done)
		_ = l.CloseWrite()
	})
	select {
	case <-done:
	case <-out.link.over:
	}
}

// reportRest reports the messages that only this connection could have delivered. It is called
// when every worker has ended.
func (out *outbound) reportRest() {
	cause := out.link.ended()
	if !out.link.answered() {
		for _, m := range out.unconfirmed.rest() {
			out.report(written(m, cause))
		}
	}
	for _, m := range out.queue.takeOnly(&out.link.lifetime) {
		out.report(undelivered(m, false, cause))
	}
}
