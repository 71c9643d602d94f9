package ws

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/buffer"
	"github.com/securews/securews/middleware/live"
)

// outbound writes the frames of a connection: one at a time, and the close frame last.
type outbound struct {
	link      *link
	workers   *workers
	writing   chan struct{} // held while writing a frame
	pingDue   atomic.Bool   // to be written by the next writer
	pingsOwed atomic.Int32  // pings that no pong has answered yet
	queue     queue
	groups    memberships
}

// workers write for the connections of a Handler.
type workers struct {
	pingers, closers *pool[*outbound]
	senders          *senders[*outbound]
}

func newWorkers() *workers {
	return &workers{
		pingers: newPool(64, (*outbound).sendDue),
		closers: newPool(256, (*outbound).sendClose), // no ping to a stalled peer delays a revocation
		senders: newSenders((*outbound).sendQueued),
	}
}

// writeFrame writes one frame, in one write unless it is larger than the memory that the pool
// keeps. It counts as that many messages: 1, or 0 for a frame of the handler's own.
func (o *outbound) writeFrame(opcode byte, p []byte, messages int) error {
	b := buffer.Get()
	defer buffer.Put(b)
	*b = appendHeader(*b, opcode, len(p))
	first := min(len(p), buffer.Most)
	*b = append(*b, p[:first]...)
	return o.transmit(*b, p[first:], messages, len(p))
}

// transmit writes finished frames, in their turn: those of so many messages with so many
// bytes of payload.
func (o *outbound) transmit(frames, rest []byte, messages, bytes int) error {
	o.writing <- struct{}{}
	err := o.put(frames, rest)
	if err == nil && messages > 0 {
		o.link.times.lastMessage.Store(o.link.now())
		o.link.traffic.sent.Add(int64(messages))
		o.link.traffic.sentBytes.Add(int64(bytes))
	}
	<-o.writing
	o.sendDue()
	return err
}

// put is called with writing held.
func (o *outbound) put(frames, rest []byte) error {
	l, e := o.link, &o.link.ending
	if cause := e.stops(); cause != nil {
		return cause
	}
	defer l.times.writeSince.Store(0)
	begun := false
	for _, p := range [...][]byte{frames, rest} {
		for ; len(p) > 0; begun = true {
			if cause := e.cause.Load(); begun && cause != nil && e.final(cause) {
				e.cut() // the rest is not for this peer, and no close frame can stand within a frame
				return cause
			}
			n := min(len(p), maxWrite)
			l.times.progress(l.now())
			if _, err := e.conn.Write(p[:n]); err != nil {
				o.endAbnormally(err)
				return l.ended()
			}
			p = p[n:]
		}
	}
	return nil
}

// maxWrite is how much goes into one call: that a call returns is progress, which a slow
// but steady peer makes within Timeouts.Write.
const maxWrite = buffer.Most + maxHeader

// ping has the pingers write a ping.
func (o *outbound) ping() {
	o.pingDue.Store(true)
	o.workers.pingers.add(o)
}

// sendDue writes the frame that is due to the peer: a close frame, or a ping. If another
// frame is being written, its writer comes here when it is done.
func (o *outbound) sendDue() {
	for o.pingDue.Load() && o.link.ending.cause.Load() == nil {
		select {
		case o.writing <- struct{}{}:
		default:
			return
		}
		if o.pingDue.Swap(false) && o.link.ending.cause.Load() == nil {
			o.link.times.pinged.Store(o.link.now()) // before the answer can be there
			o.pingsOwed.Add(1)
			o.writeControl(opPing, nil)
		}
		<-o.writing
	}
	o.sendClose()
}

// sendClose writes the close frame, once, if nothing else is being written; otherwise that
// writer calls it when it is done. Then it wakes the reader: the frame first, then reads fail.
func (o *outbound) sendClose() {
	e := &o.link.ending
	for e.cause.Load() != nil && !e.closeSent.Load() && !o.queue.busy() {
		select {
		case o.writing <- struct{}{}:
		default:
			return
		}
		o.writeClose()
		<-o.writing
	}
	if e.closeSent.Load() {
		e.interrupt()
	}
}

// writeClose is called with writing held.
func (o *outbound) writeClose() {
	e := &o.link.ending
	cause := e.cause.Load()
	if e.closeSent.Swap(true) || cause.Code == websocket.StatusAbnormalClosure {
		return
	}
	var payload []byte
	if cause.Code != websocket.StatusNoStatusRcvd {
		payload = binary.BigEndian.AppendUint16(payload, uint16(cause.Code))
		if !cause.fromPeer() { // the peer's own reason need not be repeated
			payload = append(payload, cause.Reason...)
		}
	}
	if o.writeControl(opClose, payload) && !cause.fromPeer() {
		o.link.binding.Closed(&live.Cause{Code: uint16(cause.Code), Reason: cause.Reason})
	}
}

// writeControl is called with writing held.
func (o *outbound) writeControl(opcode byte, payload []byte) (written bool) {
	conn := o.link.ending.conn
	_ = conn.SetWriteDeadline(time.Now().Add(controlWrite))
	b := buffer.Get()
	defer buffer.Put(b)
	*b = append(appendHeader(*b, opcode, len(payload)), payload...)
	if _, err := conn.Write(*b); err != nil {
		o.end(ErrSlow.Wrap(err))
		o.link.ending.cut() // part of the frame may be out: nothing can follow
		return false
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return true
}

// finish writes the close frame after a write under way and the queue; nothing follows.
func (o *outbound) finish() {
	o.queue.wait()
	o.writing <- struct{}{} // a writer is cut by the wheel in time
	o.writeClose()
	<-o.writing
}

// report adds the traffic since the last report to the registry's numbers. A message costs
// no more than two additions to the connection's own numbers, whether or not those of the
// registry are read.
func (o *outbound) report(last bool) {
	q, t := &o.queue, &o.link.traffic
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.settled {
		return
	}
	before, now := q.reported, reported{q.load.Bytes, uint32(t.received.Load()), uint32(t.sent.Load())}
	if q.settled = last; last {
		now.queued = 0
	}
	o.link.binding.Count(
		live.Traffic{Messages: uint64(now.received - before.received), Bytes: uint64(t.receivedBytes.Swap(0))},
		live.Traffic{Messages: uint64(now.sent - before.sent), Bytes: uint64(t.sentBytes.Swap(0))},
		int64(now.queued-before.queued),
	)
	q.reported = now
}
