package ws

import (
	"errors"
	"io"

	"github.com/coder/websocket"
)

// end makes cause the connection's, if it is the first. The caller sees to the
// close frame: by sendClose, or through the closers if it must not wait.
func (o *outbound) end(cause *CloseError) (first bool) {
	l := o.link
	if !l.ending.decide(cause, l.now()) {
		return false
	}
	l.cancel(cause)
	o.groups.end(o)
	l.binding.Ending()
	if !cause.flushes() {
		o.queue.drop()
	}
	if l.ending.attached.Load() {
		l.binding.Hasten(l.ending.at.Load() + int64(l.rules.timeouts.Close))
	}
	return true
}

// endNow is end with the close frame, for a goroutine that may write it; it returns the cause
// that won.
func (o *outbound) endNow(cause *CloseError) error {
	o.end(cause)
	o.sendClose()
	return o.link.ended()
}

// endSoon is end for callers that must not wait: the registry, and Send.
func (o *outbound) endSoon(cause *CloseError) {
	if o.end(cause) {
		o.closeSoon()
	}
}

// closeSoon has the closers write the close frame, if there is a connection.
func (o *outbound) closeSoon() {
	if o.link.ending.attached.Load() {
		o.workers.closers.add(o)
	}
}

// endAbnormally ends a connection whose network is gone. A stream that stops without a close
// frame is not a normal end.
func (o *outbound) endAbnormally(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	o.end(&CloseError{Code: websocket.StatusAbnormalClosure, Err: err})
}

// overrule replaces a cause that still lets the queue out by the loss of the credential: nothing
// more of the queue, and of what the kernel holds, is for this peer.
func (o *outbound) overrule(cause *CloseError) {
	if o.link.ending.overrule(cause) {
		o.queue.drop()
		o.closeSoon()
	}
}
