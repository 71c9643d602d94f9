package outqueue

import (
	"slices"
	"testing"
)

func TestFifoKeepsTheOrder(t *testing.T) {
	var q Fifo[int]
	next, want := 0, 0
	for range 100 { // two in, one out: the memory moves
		for range 2 {
			q.Push(next)
			next++
		}
		if v, ok := q.Pop(); !ok || v != want {
			t.Fatalf("%d %t, want %d", v, ok, want)
		}
		want++
	}
	if q.Len() != next-want {
		t.Errorf("%d values, want %d", q.Len(), next-want)
	}
	if v, ok := q.First(); !ok || v != want || q.Len() != next-want {
		t.Errorf("the first is %d %t, want %d, which stays", v, ok, want)
	}
	if got := slices.Collect(q.All()); len(got) != next-want || got[0] != want || !slices.IsSorted(got) {
		t.Errorf("all are %v, want those from %d on", got, want)
	}
	if _, ok := q.Pop(); ok || q.Len() != 0 {
		t.Error("it is not empty")
	}
}

// A peer that reads slowly keeps a queue from becoming empty.
func TestFifoThatIsNeverEmptyDoesNotGrow(t *testing.T) {
	var q Fifo[int]
	for i := range 10 {
		q.Push(i)
	}
	for i := range 10_000 {
		q.Push(i)
		q.Pop()
	}
	if cap(q.values) > 64 {
		t.Errorf("it has room for %d values and holds %d", cap(q.values), q.Len())
	}
}

// No value that has left is kept from the garbage collector, nor is the memory of a large queue.
func TestFifoForgets(t *testing.T) {
	var q Fifo[*int]
	for range 4 {
		q.Push(new(int))
	}
	q.Pop()
	if q.values[0] != nil {
		t.Error("it holds a value that has left")
	}
	for range defaultKeep {
		q.Push(new(int))
	}
	for range q.All() {
	}
	if q.values != nil {
		t.Errorf("an empty queue keeps room for %d values", cap(q.values))
	}
}

// A queue that is filled and emptied again and again allocates once, up to a size.
func TestFifoKeepsSomeMemory(t *testing.T) {
	tests := []struct {
		sentence     string
		keep, values int
		kept         bool
	}{
		{"the default", 0, 64, true},
		{"more than the default", 0, 65, false},
		{"less than a larger size", 1024, 500, true},
		{"more than that", 1024, 1025, false},
	}
	for _, tt := range tests {
		q := Fifo[int]{Keep: tt.keep}
		for i := range tt.values {
			q.Push(i)
		}
		for range q.All() {
		}
		if kept := q.values != nil; kept != tt.kept {
			t.Errorf("%s: memory for %d values is kept: %t", tt.sentence, tt.values, kept)
		}
	}
}

func TestLoad(t *testing.T) {
	most := Load{Messages: 2, Bytes: 10}
	var l Load
	tests := []struct {
		sentence string
		bytes    int
		fits     bool
	}{
		{"a message of more than all bytes never fits", 11, false},
		{"one of all bytes fits", 10, true},
		{"an empty one fits", 0, true},
	}
	for _, tt := range tests {
		if got := l.Fits(tt.bytes, most); got != tt.fits {
			t.Errorf("%s: %t", tt.sentence, got)
		}
	}
	l.Add(6)
	if l.Fits(5, most) || !l.Fits(4, most) {
		t.Errorf("beside 6 bytes: 5 fit %t, 4 fit %t", l.Fits(5, most), l.Fits(4, most))
	}
	l.Add(4)
	if l.Fits(0, most) {
		t.Error("a third message fits")
	}
	if l.Remove(1, 6); l != (Load{Messages: 1, Bytes: 4}) || !l.Fits(6, most) {
		t.Errorf("%+v after the first has left", l)
	}
}
