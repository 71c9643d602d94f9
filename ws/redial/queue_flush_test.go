package redial

import (
	"testing"

	"github.com/coder/websocket"
)

func TestWhenEmptyAfterTheLastWasTaken(t *testing.T) {
	q, one := newQueue(defaultLimits), &lifetime{}
	if err := q.put(queued{websocket.MessageText, []byte("x"), one}); err != nil {
		t.Fatal(err)
	}
	_ = q.whenEmpty()
	q.takeOnly(one)
	select {
	case <-q.whenEmpty():
	default:
		t.Error("an empty queue is not empty: finish waits for Timeouts.Write")
	}
}
