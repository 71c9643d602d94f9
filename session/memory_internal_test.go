package session

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The memory of records that nobody asks for again is bounded, without a goroutine.
func TestMemoryDropsWhatHasExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newMemory()
		for i := range 5000 {
			_ = s.Commit(strings.Repeat("x", i), nil, time.Now().Add(time.Second))
			time.Sleep(time.Second)
		}
		if len(s.items) > 1024 {
			t.Errorf("%d items are kept", len(s.items))
		}
	})
}
