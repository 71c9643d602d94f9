package storetest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// check is one line of a contract. It calls neither Run nor Parallel, so that the tests of
// this package can run it with a [testing.TB] of their own.
type check[S any] struct {
	contract string
	run      func(t testing.TB, open func(testing.TB) S)
	waits    bool // for seconds
}

// runAll returns after the last of the checks. Those that wait do so beside the others.
func runAll[S any](t *testing.T, name string, open func(testing.TB) S, lists ...[]check[S]) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		var waiting sync.WaitGroup
		for _, c := range slices.Concat(lists...) {
			run := func() { t.Run(c.contract, func(t *testing.T) { c.run(t, open) }) }
			if c.waits {
				waiting.Go(run)
			} else {
				run()
			}
		}
		waiting.Wait()
	})
}

// opened calls open, which must not return nil.
func opened[S any](t testing.TB, open func(testing.TB) S) S {
	t.Helper()
	s := open(t)
	if any(s) == nil {
		t.Fatal("open returns nil")
	}
	return s
}

// patience bounds a call, and the wait for something that is to happen.
const patience = 30 * time.Second

// limited returns a context for one call. It is to be canceled as soon as the call has
// returned: stored values do not depend on it.
func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// ask makes one call, which may ignore its context, and ends the check if it does not return. It
// may be called in any goroutine.
func ask[T any](t testing.TB, what string, call func(ctx context.Context) (T, error)) (T, error) {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	var value T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		value, err = call(ctx)
	}()
	select {
	case <-done:
	case <-time.After(patience + time.Second): // one that respects the context has returned by then
		t.Fatalf("%s has not returned within %v", what, patience)
	}
	return value, err
}

// ended are contexts that are over.
func ended() map[string]context.Context {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	cancel()
	return map[string]context.Context{"a canceled context": canceled, "a context whose deadline has passed": late}
}

// returns runs fn, which has a context that has ended, and fails unless it returns.
func returns(t testing.TB, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s has not returned within %v", what, patience)
	}
}

// eventually asks until the answer is yes.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !yes(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// together calls fn n times at once, and returns after all of them.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			fn(i)
		})
	}
	close(begin)
	wg.Wait()
}

// newKey returns a key as the packages of this module make them: 43 characters of base64url.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// bytesOf returns n bytes, all 256 values among them if there is room. Others have another seed.
func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*7 + byte(i>>8) + seed
	}
	return b
}

// shown is a value in a message.
func shown(b []byte) string {
	if b == nil {
		return "nothing"
	}
	if len(b) > 40 {
		return fmt.Sprintf("%d bytes %q...", len(b), b[:20])
	}
	return fmt.Sprintf("%q", b)
}

// process is the life of a process: handles that are opened with it are closed at its end.
type process struct {
	testing.TB
	mu     sync.Mutex
	closes []func()
}

// Cleanup implements testing.TB.
func (p *process) Cleanup(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closes = append(p.closes, fn)
}

func (p *process) end() {
	p.mu.Lock()
	closes := p.closes
	p.closes = nil
	p.mu.Unlock()
	for i := range closes {
		closes[len(closes)-1-i]()
	}
}
