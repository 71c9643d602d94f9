package bounded_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/securews/securews/internal/bounded"
)

// recovered returns the PanicError of a panic of fn.
func recovered(fn func()) *bounded.PanicError {
	var err error
	func() {
		defer bounded.Contain(&err)
		fn()
	}()
	p, _ := errors.AsType[*bounded.PanicError](err)
	return p
}

// foreign implements runtime.Error outside the runtime.
type foreign struct{ error }

func (foreign) RuntimeError() {}

// credential hides itself from logs.
type credential string

func (credential) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// broken is an error whose method panics.
type broken struct{}

func (broken) Error() string { panic("no text") }

type named string

// ASVS 16.2.5: Error never has the text of a value; DangerousText has that of strings and errors.
func TestTextOfAPanic(t *testing.T) {
	t.Parallel()
	var m map[any]int
	for _, tt := range []struct {
		name      string
		fn        func()
		err       string
		dangerous string
	}{
		{"a string", func() { panic("holds s3cret") }, "panic: string", "holds s3cret"},
		{"an error", func() { panic(errors.New("holds s3cret")) }, "panic: *errors.errorString", "holds s3cret"},
		{"an error that wraps another", func() { panic(fmt.Errorf("a: %w", errors.New("s3cret"))) }, "panic: *fmt.wrapError", "a: s3cret"},
		{"a struct", func() { panic(struct{ Token string }{"s3cret"}) }, "panic: struct { Token string }", ""},
		{"a string of another type", func() { panic(named("s3cret")) }, "panic: bounded_test.named", ""},
		{"bytes", func() { panic([]byte("s3cret")) }, "panic: []uint8", ""},
		{"a value that hides itself from logs", func() { panic(credential("s3cret")) }, "panic: bounded_test.credential", "[redacted]"},
		{"a runtime.Error of another package", func() { panic(foreign{errors.New("s3cret")}) }, "panic: bounded_test.foreign", "s3cret"},
		{
			"an index",
			func() { _ = []int{}[len(m)] },
			"panic: runtime error: index out of range [0] with length 0",
			"runtime error: index out of range [0] with length 0",
		},
		{"a nil map", func() { m[0] = 1 }, "panic: assignment to entry in nil map", "assignment to entry in nil map"},
		{
			"a type assertion",
			func() { _ = any(named("s3cret")).(int) },
			"panic: interface conversion: interface {} is bounded_test.named, not int",
			"interface conversion: interface {} is bounded_test.named, not int",
		},
		{"a method that panics", func() { panic(broken{}) }, "panic: bounded_test.broken", "%!v(PANIC=Error method: no text)"},
		{
			"control characters", func() { panic("a\nlevel=INFO\r\x1b[2J\u202e\u009b\x00\xff\"é\u00a0日") },
			"panic: string", `a\nlevel=INFO\r\x1b[2J\u202e\u009b\x00\xff"é\u00a0日`,
		},
		{"a text of 1,024 bytes", func() { panic(strings.Repeat("x", 1024)) }, "panic: string", strings.Repeat("x", 1024)},
		{"a longer text", func() { panic(strings.Repeat("x", 1023) + "éx") }, "panic: string", strings.Repeat("x", 1023) + "…"},
	} {
		p := recovered(tt.fn)
		if p == nil {
			t.Errorf("%s: no panic", tt.name)
			continue
		}
		if p.Error() != tt.err || p.DangerousText() != tt.dangerous {
			t.Errorf("%s: %q, %q; want %q, %q", tt.name, p.Error(), p.DangerousText(), tt.err, tt.dangerous)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if got := fmt.Sprintf(verb, p); got != tt.err {
				t.Errorf("%s with %s: %q", tt.name, verb, got)
			}
		}
	}
}

// Errors of the Go runtime whose words differ between its versions.
func TestTextOfARuntimeError(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]func(){
		"hash of unhashable type":               func() { _ = map[any]int{"": 0}[[]int{}] },
		"panic called with nil argument":        func() { panic(nil) },
		"nil pointer dereference":               func() { var p *marked; _ = *p },
		"slice bounds out of range [:2] with c": func() { n := 2; _ = make([]int, 1)[:n] },
	} {
		if p := recovered(fn); p == nil || !strings.Contains(p.Error(), name) {
			t.Errorf("%s: %v", name, p)
		}
	}
}
