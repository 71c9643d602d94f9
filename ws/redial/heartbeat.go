package redial

import (
	"context"
	"time"

	"github.com/securews/securews/ws"
)

// confirmAfter is the time from the first unconfirmed message to the ping that confirms it.
const confirmAfter = 250 * time.Millisecond

// heartbeat pings a server that has been silent, and cuts the connection if it does not
// answer. It expects no answer while the reader waits for serve, since the pong is behind
// the message that serve has not read. It also pings to confirm queued messages.
type heartbeat struct {
	link        *link
	in          *inbound
	unconfirmed *unconfirmed
	every       time.Duration // of silence
	timeout     time.Duration // Timeouts.Pong
}

func (h heartbeat) run() {
	timer := time.NewTimer(h.every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-h.unconfirmed.begun:
			timer.Reset(min(confirmAfter, h.untilPing()))
			continue
		case <-h.unconfirmed.full:
		case <-h.link.over:
			return
		}
		position, empty := h.unconfirmed.mark()
		if !empty || h.untilPing() <= 0 {
			h.ping(position)
		}
		if _, empty = h.unconfirmed.mark(); empty {
			timer.Reset(max(0, h.untilPing()))
		} else {
			timer.Reset(confirmAfter)
		}
	}
}

// untilPing returns the time until the server has been silent for long enough.
func (h heartbeat) untilPing() time.Duration {
	w := h.link.wire
	return h.every - time.Duration(w.now()-w.lastByte.Load())
}

// ping waits for the answer, which confirms the messages before the position.
func (h heartbeat) ping(position int) {
	w := h.link.wire
	asked := w.now()
	ctx, cancel := context.WithTimeout(context.Background(), h.timeout)
	defer cancel()
	err := h.link.coder.Ping(ctx)
	if err == nil {
		h.unconfirmed.confirm(position)
	}
	heard := max(w.lastByte.Load(), h.in.handed.Load())
	if err != nil && heard < asked && !h.in.waiting.Load() {
		h.link.end(ws.ErrTimeout)
		w.cut()
	}
}
