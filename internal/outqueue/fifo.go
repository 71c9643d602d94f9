package outqueue

import (
	"cmp"
	"iter"
)

// Fifo holds values in order. It is empty in its zero value, and not safe for concurrent use.
type Fifo[T any] struct {
	Keep   int // for how many values it keeps memory while it is empty; 0: 64
	values []T // from head on
	head   int
}

const defaultKeep = 64

// Len returns how many values there are.
func (q *Fifo[T]) Len() int { return len(q.values) - q.head }

// Push adds the last value. A Fifo that is never empty does not grow with every value.
func (q *Fifo[T]) Push(v T) {
	if len(q.values) == cap(q.values) && q.head > len(q.values)/2 {
		n := copy(q.values, q.values[q.head:])
		clear(q.values[n:])
		q.values, q.head = q.values[:n], 0
	}
	q.values = append(q.values, v)
}

// First returns the first value, false if there is none.
func (q *Fifo[T]) First() (v T, ok bool) {
	if q.Len() == 0 {
		return v, false
	}
	return q.values[q.head], true
}

// Pop removes and returns the first value, false if there is none.
func (q *Fifo[T]) Pop() (v T, ok bool) {
	v, ok = q.First()
	if !ok {
		return v, false
	}
	var none T
	q.values[q.head] = none
	if q.head++; q.head == len(q.values) {
		q.values, q.head = q.values[:0], 0
		if cap(q.values) > cmp.Or(q.Keep, defaultKeep) {
			q.values = nil
		}
	}
	return v, true
}

// All removes and returns all values, in order.
func (q *Fifo[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for v, ok := q.Pop(); ok; v, ok = q.Pop() {
			if !yield(v) {
				return
			}
		}
	}
}
