package recheckby_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/internal/recheckby"
)

var day = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

func TestTheEarliestTimeCounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reported []time.Time
		want     time.Time
	}{
		"none":                  {nil, time.Time{}},
		"the zero time is none": {[]time.Time{{}}, time.Time{}},
		"the earliest":          {[]time.Time{day.Add(time.Hour), day, {}, day.Add(time.Minute)}, day},
		"the start of 1970":     {[]time.Time{time.Unix(0, 0), day}, time.Unix(0, 1)},
		"before 1970":           {[]time.Time{day, time.Unix(-1, 0)}, time.Unix(-1, 0)},
		"in the year 9999":      {[]time.Time{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, time.Unix(0, 1<<63-1)},
	} {
		c := recheckby.Collect(t.Context())
		inner, cancel := context.WithCancel(c)
		var all sync.WaitGroup
		for _, at := range tt.reported {
			all.Go(func() { recheckby.Report(inner, at) })
		}
		all.Wait()
		cancel()
		if got := c.Earliest(); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A question within a question has a time of its own, and a report that nothing collects is lost.
func TestTheInnermostContextCollects(t *testing.T) {
	t.Parallel()
	outer := recheckby.Collect(t.Context())
	inner := recheckby.Collect(outer)
	recheckby.Report(inner, day)
	recheckby.Report(t.Context(), day)
	if !inner.Earliest().Equal(day) || !outer.Earliest().IsZero() {
		t.Errorf("inner %v, outer %v", inner.Earliest(), outer.Earliest())
	}
}
