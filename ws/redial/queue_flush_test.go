package redial

import (
	"testing"

	"github.com/coder/websocket"
)

func TestWhenEmptyAfterTheLastWasTaken(t *testing.T) {
	q, c := newQueue(defaultLimits), &Conn{}
	if err := q.push(queued{websocket.MessageText, []byte("x"), c}); err != nil {
		t.Fatal(err)
	}
	_ = q.whenEmpty()
	q.take(c)
	select {
	case <-q.whenEmpty():
	default:
		t.Error("an empty queue is not empty: finish waits for Timeouts.Write")
	}
}
