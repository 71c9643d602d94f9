package bearer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFlight(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failure := errors.New("a failure")
	for _, c := range []struct {
		name   string
		ctx    context.Context
		landed bool
		err    error // of wait
	}{
		{"it has landed", t.Context(), true, nil},
		{"it has landed, and ctx has ended", ended, true, nil},
		{"it is under way, and ctx has ended", ended, false, context.Canceled},
	} {
		f := newFlight[int](time.Now())
		if c.landed {
			f.land(7, failure)
		}
		if err := f.wait(c.ctx); err != c.err || c.landed && (f.result != 7 || f.err != failure) {
			t.Errorf("%s: %v, with %d, %v", c.name, err, f.result, f.err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlight[string](time.Now())
		time.AfterFunc(time.Second, func() { f.land("late", nil) })
		if err := f.wait(t.Context()); err != nil || f.result != "late" {
			t.Errorf("it lands later: %v, with %q", err, f.result)
		}
	})
}
