package bearer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The age of a set counts by the wall clock, too: a machine that was suspended has not refreshed
// it.
func TestTheAgeOfASetByTheWallClock(t *testing.T) {
	s := &source{fetch: func(context.Context) (document, error) { return document{}, errUnavailable }, maxStale: time.Hour}
	for _, c := range []struct {
		name   string
		asOf   time.Time
		usable bool
	}{
		{"now", time.Now(), true},
		{"59 min ago, without a reading of the monotonic clock", time.Now().Round(0).Add(-59 * time.Minute), true},
		{"an hour ago, without one", time.Now().Round(0).Add(-time.Hour), false},
		{"an hour ago", time.Now().Add(-time.Hour), false},
	} {
		s.current.Store(&keySet{asOf: c.asOf})
		if got := s.usable() != nil; got != c.usable {
			t.Errorf("%s: usable %v", c.name, got)
		}
	}
}

func TestPause(t *testing.T) {
	for _, c := range []struct {
		name string
		d    time.Duration
		end  func(s *source, cancel func())
		took time.Duration
		want bool
	}{
		{name: "shorter than a look", d: 3 * time.Second, took: 3 * time.Second, want: true},
		{name: "of several looks", d: 65 * time.Second, took: 65 * time.Second, want: true},
		{
			name: "an attempt is scheduled", d: time.Hour, end: func(s *source, _ func()) { s.wake <- struct{}{} },
			took: 25 * time.Second, want: true,
		},
		{name: "it is closed", d: time.Hour, end: func(_ *source, cancel func()) { cancel() }, took: 25 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{wake: make(chan struct{}, 1)}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.end != nil {
					time.AfterFunc(25*time.Second, func() { c.end(s, cancel) })
				}
				began := time.Now()
				if got := s.pause(ctx, c.d); got != c.want || time.Since(began) != c.took {
					t.Errorf("%v after %v", got, time.Since(began))
				}
			})
		})
	}
}
