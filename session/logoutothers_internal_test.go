package session

import (
	"testing"
	"time"
)

// The clock of the node of the login is ahead of this one's: the renewed record can be read.
func TestRenewalOnANodeWhoseClockIsBehind(t *testing.T) {
	t.Parallel()
	m, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	rec := m.newRecord(Identity{Subject: "alice"}, time.Now().Add(time.Minute))
	next, err := rec.renewed(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := next.encode(); err != nil {
		t.Error(err)
	}
	if next.login != rec.login || next.end != rec.end {
		t.Error("it has another login or end")
	}
}
