package seal

import (
	"sync"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/buffer"
	"github.com/securews/securews/internal/outqueue"
)

// outbox numbers, seals and sends the outgoing records in one order, because a record out
// of order would end the connection. Records are sealed with the lock held and written
// without it: one goroutine at a time writes, and starts another for the records that were
// added meanwhile.
type outbox struct {
	m    Messages
	most outqueue.Load // that may wait

	mu      sync.Mutex
	out     *direction // nil: plain text
	waiting outqueue.Fifo[outgoing]
	load    outqueue.Load // of waiting, and the bytes that are being written
	busy    bool
	err     error // if set, why no more records are accepted
}

type outgoing struct {
	typ    websocket.MessageType
	record *[]byte
	done   chan<- error // of a waiting caller, or nil; buffered
}

// write sends a record and returns when the network has accepted it.
func (o *outbox) write(typ recordType, p []byte) error {
	o.mu.Lock()
	if o.err != nil {
		defer o.mu.Unlock()
		return o.err
	}
	if !o.busy {
		n, err := o.add(typ, p, nil)
		o.busy = err == nil
		o.mu.Unlock()
		if err != nil {
			return err
		}
		return o.send(n)
	}
	done := make(chan error, 1)
	_, err := o.add(typ, p, done)
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return <-done
}

// queue adds a record and never waits; it returns false if the queue is full.
func (o *outbox) queue(typ recordType, p []byte) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return true, o.err
	}
	if !o.load.Fits(len(p)+Overhead, o.most) {
		return false, nil
	}
	if _, err := o.add(typ, p, nil); err != nil {
		return true, err
	}
	o.start()
	return true, nil
}

// finish adds a last record and makes later writes fail. Queued records are still sent;
// done receives the result of the last one.
func (o *outbox) finish(typ recordType, why error, done chan<- error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		done <- o.err
		return
	}
	o.err = why
	if o.out == nil {
		// Plain text has no such record; an empty entry in the queue replaces it.
		o.waiting.Push(outgoing{done: done})
		o.load.Add(0)
	} else if _, err := o.add(typ, nil, done); err != nil {
		done <- err
		return
	} else {
		o.out.erase()
	}
	o.start()
}

// start is called with mu held.
func (o *outbox) start() {
	if !o.busy {
		o.busy = true
		go func() { _ = o.send(-1) }()
	}
}

// add seals a record and appends it to the queue, after a key update if one is due. It is
// called with mu held and returns the number of messages it added.
func (o *outbox) add(typ recordType, p []byte, done chan<- error) (n int, err error) {
	if o.out == nil {
		b := buffer.Get()
		*b = append(*b, p...)
		o.push(outgoing{plainType(typ), b, done})
		return 1, nil
	}
	if o.out.due() {
		if err := o.seal(recordUpdate, nil, nil); err != nil {
			return 0, err
		}
		o.out.update()
		n++
	}
	return n + 1, o.seal(typ, p, done)
}

func (o *outbox) seal(typ recordType, p []byte, done chan<- error) error {
	b := buffer.Get()
	var err error
	if *b, err = o.out.seal(*b, typ, p); err != nil {
		buffer.Put(b)
		return err
	}
	o.push(outgoing{websocket.MessageBinary, b, done})
	return nil
}

func (o *outbox) push(m outgoing) {
	o.waiting.Push(m)
	o.load.Add(len(*m.record))
}

// send writes the next n messages, or all if n is negative, and starts a goroutine for the
// others. The caller must have set busy.
func (o *outbox) send(n int) error {
	for ; n != 0; n-- {
		next, ok := o.pop()
		if !ok {
			return o.failure()
		}
		err := o.emit(next)
		if next.done != nil {
			next.done <- err
		}
		if err != nil {
			o.stop(err)
			o.pop() // the queue is empty: this resets busy
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting.Len() == 0 {
		o.busy = false
	} else {
		go func() { _ = o.send(-1) }()
	}
	return nil
}

func (o *outbox) emit(m outgoing) error {
	if m.record == nil {
		return nil
	}
	err := o.m.Write(m.typ, *m.record)
	o.mu.Lock()
	o.load.Remove(0, len(*m.record))
	o.mu.Unlock()
	buffer.Put(m.record)
	return err
}

// pop removes and returns the next message; if the queue is empty it resets busy.
func (o *outbox) pop() (m outgoing, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, ok = o.waiting.Pop()
	if !ok {
		o.busy = false
		return m, false
	}
	o.load.Remove(1, 0)
	return m, true
}

// stop drops the queue and makes later writes fail.
func (o *outbox) stop(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	for m := range o.waiting.All() {
		o.load.Remove(1, 0)
		if m.record != nil {
			o.load.Remove(0, len(*m.record))
			buffer.Put(m.record)
		}
		if m.done != nil {
			m.done <- err
		}
	}
	if o.out != nil {
		o.out.erase()
	}
}

func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
