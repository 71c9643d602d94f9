package ws

import (
	"sync"

	"github.com/securews/securews/internal/buffer"
	"github.com/securews/securews/internal/outqueue"
)

// queue holds what Send has taken and no write has begun. A goroutine of senders empties it
// while there is something in it.
type queue struct {
	mu       sync.Mutex
	waiting  waiting
	load     outqueue.Load // of waiting, and of those that the goroutine holds
	sending  bool          // the goroutine is there
	dropped  bool          // nothing more of this connection goes out
	settled  bool          // the last report has been made
	reported reported
	empty    chan struct{}
}

// putResult is the result of adding a message to a queue.
type putResult int

const (
	follows  putResult = iota // it stands behind others
	starts                    // it is the first: the senders are to be told
	full                      // it does not fit now
	tooLarge                  // it never fits
	dropped                   // the connection ends, and the caller will learn of it
)

// put appends a frame, if it fits.
func (q *queue) put(opcode byte, p []byte, most outqueue.Load) putResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	result := q.enter(len(p), most)
	if result == follows || result == starts {
		b := q.waiting.own()
		*b = append(appendHeader(*b, opcode, len(p)), p...)
	}
	return result
}

// putShared appends a frame of a Group, if it fits.
func (q *queue) putShared(f *frame, most outqueue.Load) putResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	result := q.enter(f.payload, most)
	if result == follows || result == starts {
		q.waiting.share(f)
	}
	return result
}

// enter counts a message of that many bytes, if it fits.
func (q *queue) enter(bytes int, most outqueue.Load) putResult {
	switch {
	case q.dropped:
		return dropped
	case bytes > most.Bytes:
		return tooLarge
	case !q.load.Fits(bytes, most):
		return full
	}
	q.load.Add(bytes)
	if q.sending {
		return follows
	}
	q.sending = true
	return starts
}

// take hands the frames over to the goroutine, which starts to write the first; false ends it.
func (q *queue) take() (w waiting, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.empty() {
		q.sending = false
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
		return waiting{}, false
	}
	w, q.waiting = q.waiting, waiting{}
	if w.first != nil {
		q.load.Remove(1, w.first.payload)
	}
	return w, true
}

// begin counts messages no longer, since a write of them starts; false if they were dropped.
func (q *queue) begin(messages, bytes int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped {
		return false
	}
	q.load.Remove(messages, bytes)
	return true
}

// drop drops all frames of which no write has begun, now and later.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.frames != nil {
		buffer.Put(q.waiting.frames)
	}
	q.waiting, q.load, q.dropped = waiting{}, outqueue.Load{}, true
}

// busy reports whether messages are still to go out before a close frame.
func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sending
}

// wait returns when the queue's goroutine has ended.
func (q *queue) wait() {
	q.mu.Lock()
	if !q.sending {
		q.mu.Unlock()
		return
	}
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.mu.Unlock()
	<-empty
}
