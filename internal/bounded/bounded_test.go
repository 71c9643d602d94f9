package bounded_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/bounded"
)

type marked struct{ bounded.Self }

// promoting replaces a method of a marked type, so it does not bound itself.
type promoting struct{ *marked }

type hasField struct{ Self bounded.Self }

func TestBoundsItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		x    any
		want bool
	}{
		{"a struct that embeds Self", marked{}, true},
		{"a pointer to it", &marked{}, true},
		{"a nil pointer to it", (*marked)(nil), true},
		{"a struct that embeds a marked type", promoting{}, false},
		{"a field that is not embedded", hasField{}, false},
		{"another kind", func() {}, false},
		{"nil", nil, false},
	} {
		if got := bounded.BoundsItself(tt.x); got != tt.want || bounded.NewCaller(tt.x).Direct() != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	fault := errors.New("fault")
	for name, c := range map[string]bounded.Caller{"direct": {}, "in a goroutine": bounded.NewCaller(0)} {
		call := func(fn func() (int, error)) (int, error) { return bounded.Call(t.Context(), c, "store", fn) }
		if n, err := call(func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if n, err := call(func() (int, error) { return 7, fault }); n != 0 || !errors.Is(err, fault) || err.Error() != "store: fault" {
			t.Errorf("%s: an error: %d, %v", name, n, err)
		}
		_, err := call(func() (int, error) { panic("holds s3cret") })
		p, ok := errors.AsType[*bounded.PanicError](err)
		if !ok || err.Error() != "store: panic: string" || !strings.Contains(p.Stack, "bounded_test.go") {
			t.Errorf("%s: a panic: %v", name, err)
		}
		_, err = call(func() (int, error) { nilMap()["x"] = 1; return 0, nil })
		if err == nil || err.Error() != "store: panic: assignment to entry in nil map" {
			t.Errorf("%s: a runtime error: %v", name, err)
		}
	}
	_, err := bounded.Call(t.Context(), bounded.NewCaller(0), "store", func() (int, error) { runtime.Goexit(); return 0, nil })
	if err == nil || err.Error() != "store: the call ended its goroutine" {
		t.Errorf("Goexit: %v", err)
	}
}

// A call that ignores its context is left behind. So many of them take all the room, and
// then a call waits for room as long as its context lasts.
func TestCallThatNeverReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bounded.NewCaller(0)
		release := make(chan struct{})
		var begun atomic.Int32
		for range bounded.MaxCalls {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := bounded.Call(ctx, c, "store", func() (int, error) { begun.Add(1); <-release; return 0, nil })
			if cancel(); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bounded.ErrBusy) {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := bounded.Call(ctx, c, "store", func() (int, error) { begun.Add(1); return 0, nil })
		if !errors.Is(err, bounded.ErrBusy) || time.Since(start) != time.Second || begun.Load() != bounded.MaxCalls {
			t.Errorf("%v after %v, %d calls", err, time.Since(start), begun.Load())
		}
		close(release)
		synctest.Wait()
		if n, err := bounded.Call(t.Context(), c, "store", func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("after the calls have returned: %d, %v", n, err)
		}
	})
}

func TestContain(t *testing.T) {
	t.Parallel()
	f := func(v any) (err error) {
		defer bounded.Contain(&err)
		if v != nil {
			panic(v)
		}
		return nil
	}
	if err := f(nil); err != nil {
		t.Error(err)
	}
	if err := f([]int{1}); err == nil || err.Error() != "panic: []int" {
		t.Error(err)
	}
}

func nilMap() map[string]int { return nil }
