package redial

import "testing"

// Config.Limits bound the messages that wait for a confirmation, too; one alone may be larger.
func TestConfirmedMessagesMakeRoom(t *testing.T) {
	u := newUnconfirmed(Limits{QueueMessages: 2, QueueBytes: 10})
	fits := func(sentence string, n int, want bool) {
		t.Helper()
		if got := u.fits(n); got != want {
			t.Errorf("%s: %d bytes fit: %t", sentence, n, got)
		}
	}
	fits("nothing is unconfirmed", 11, true)
	u.add(queued{payload: make([]byte, 6)})
	fits("beside 6 bytes", 4, true)
	fits("beside 6 bytes", 5, false)
	first, _ := u.mark()
	u.add(queued{payload: make([]byte, 4)})
	fits("beside two messages", 0, false)
	u.confirm(first)
	fits("once the first is confirmed", 6, true)
	fits("once the first is confirmed", 7, false)
	if left := u.rest(); len(left) != 1 || len(left[0].payload) != 4 {
		t.Errorf("%d messages are left, want the second", len(left))
	}
}
