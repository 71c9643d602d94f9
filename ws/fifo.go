package ws

// fifo holds values in order. It keeps the memory that it once needed, unless that was much.
type fifo[T any] struct {
	values []T // from head on
	head   int
}

// maxKept is how long an empty fifo may have been whose memory is kept.
const maxKept = 1024

func (q *fifo[T]) empty() bool { return q.head == len(q.values) }

func (q *fifo[T]) push(v T) {
	if len(q.values) == cap(q.values) && q.head > len(q.values)/2 {
		n := copy(q.values, q.values[q.head:])
		clear(q.values[n:])
		q.values, q.head = q.values[:n], 0
	}
	q.values = append(q.values, v)
}

// pop returns false if the fifo is empty.
func (q *fifo[T]) pop() (v T, ok bool) {
	if q.empty() {
		q.values, q.head = q.values[:0], 0
		if cap(q.values) > maxKept {
			q.values = nil
		}
		return v, false
	}
	v = q.values[q.head]
	var none T
	q.values[q.head] = none
	q.head++
	return v, true
}
