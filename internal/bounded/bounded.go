// Package bounded calls implementations of this module's interfaces that may be slow,
// ignore their context or panic.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// Self marks a type of this module whose methods bound themselves: they return at once,
// or bound their own calls. A struct is marked by embedding Self; no other module can.
type Self struct{}

// BoundsItself reports whether x is marked by [Self]. A struct that embeds a marked type is
// not marked: it may replace the methods.
func BoundsItself(x any) bool {
	t := reflect.TypeOf(x)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.Type == reflect.TypeFor[Self]() {
			return true
		}
	}
	return false
}

// MaxCalls is how many calls of one [Caller] may be under way. It bounds the goroutines
// that an implementation which never returns can hold.
const MaxCalls = 256

// ErrBusy is the error of a call that finds no room until its context ends.
var ErrBusy = errors.New("too many calls are under way")

// Caller calls one implementation. The zero Caller calls directly, without a goroutine. It
// is safe for concurrent use.
type Caller struct{ slots chan struct{} }

// NewCaller returns a Caller for impl: the zero Caller if impl bounds itself.
func NewCaller(impl any) Caller {
	if BoundsItself(impl) {
		return Caller{}
	}
	return Caller{make(chan struct{}, MaxCalls)}
}

// Direct reports whether calls are made directly. A hot path asks it first and calls the
// implementation itself, because the fn of [Call] costs an allocation.
func (c Caller) Direct() bool { return c.slots == nil }

// Call calls fn and returns its result, or the error of ctx if that ends first: fn then
// continues in its goroutine, and its result is dropped. A panic of fn is a [PanicError].
// The text of every error begins with the given one.
func Call[T any](ctx context.Context, c Caller, text string, fn func() (T, error)) (T, error) {
	var r result[T]
	if c.slots == nil {
		r = contained(fn)
	} else {
		r = inGoroutine(ctx, c, fn)
	}
	if r.err != nil {
		var zero T
		return zero, fmt.Errorf("%s: %w", text, r.err)
	}
	return r.value, nil
}

type result[T any] struct {
	value T
	err   error
}

func inGoroutine[T any](ctx context.Context, c Caller, fn func() (T, error)) result[T] {
	if err := c.enter(ctx); err != nil {
		return result[T]{err: err}
	}
	done := make(chan result[T], 1)
	go func() {
		defer func() { <-c.slots }()
		r := result[T]{err: errGoexit}
		defer func() { done <- r }() // runs after runtime.Goexit in fn, too
		r = contained(fn)
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return result[T]{err: ctx.Err()}
	}
}

var errGoexit = errors.New("the call ended its goroutine")

func (c Caller) enter(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

func contained[T any](fn func() (T, error)) (r result[T]) {
	defer func() {
		if v := recover(); v != nil {
			r = result[T]{err: Panicked(v)}
		}
	}()
	r.value, r.err = fn()
	return r
}
