package wstest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// stream is one direction of a connection. Calls wait in cond.Wait, which is durably
// blocking (testing/synctest), without holding a lock.
type stream struct {
	mu      sync.Mutex
	cond    sync.Cond // any field below has changed
	buf     bytes.Buffer
	limit   int  // buf.Len() never exceeds it
	writing bool // a Write is in progress; others wait, so that their bytes do not mix
	ended   bool // the writer has closed: EOF after buf
	gone    bool // the reader has closed
	lost    bool // nothing is delivered, the two above included

	readBy, writeBy deadline
}

func newStream(limit int) *stream {
	s := &stream{limit: limit}
	s.cond.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case s.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.lost:
		case s.buf.Len() > 0:
			s.cond.Broadcast()
			return s.buf.Read(p)
		case s.ended:
			return 0, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.writing {
		s.cond.Wait()
	}
	s.writing = true
	defer func() {
		s.writing = false
		s.cond.Broadcast()
	}()
	for {
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case s.gone && !s.lost:
			return n, syscall.EPIPE
		}
		part := p[n:min(len(p), n+s.limit-s.buf.Len())]
		s.buf.Write(part)
		if n += len(part); n == len(p) {
			return n, nil
		}
		s.cond.Broadcast()
		s.cond.Wait()
	}
}

// update changes the stream's state and wakes all waiting calls.
func (s *stream) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.cond.Broadcast()
}

// endWrite closes the writer's side, endRead the reader's. Both report whether the call was
// the first.
func (s *stream) endWrite() (first bool) {
	s.update(func() {
		first, s.ended = !s.ended, true
		s.writeBy.stop()
	})
	return first
}

func (s *stream) endRead() (first bool) {
	s.update(func() {
		first, s.gone = !s.gone, true
		s.readBy.stop()
	})
	return first
}

func (s *stream) lose() { s.update(func() { s.lost = true }) }

func (s *stream) setReadDeadline(t time.Time) (err error) {
	s.update(func() {
		if s.gone {
			err = net.ErrClosed
			return
		}
		s.readBy.set(t, s)
	})
	return err
}

func (s *stream) setWriteDeadline(t time.Time) (err error) {
	s.update(func() {
		if s.ended {
			err = net.ErrClosed
			return
		}
		s.writeBy.set(t, s)
	})
	return err
}

// deadline wakes the waiting calls of a stream when it passes. It is guarded by the stream's
// lock.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(t time.Time, s *stream) {
	d.stop()
	d.at = time.Time{}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	d.at = time.Now().Add(wait) // on the timer's clock, even if t has no monotonic reading
	switch {
	case wait <= 0: // update wakes the waiting calls
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, func() { s.update(func() {}) })
	default:
		d.timer.Reset(wait)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
