package bounded

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// PanicError is a contained panic. Its text names the type of the value, or is the text of
// a runtime error; another value may hold a secret or a payload and is not shown
// (ASVS 16.2.5).
type PanicError struct {
	text  string
	Stack string
}

// Panicked returns the PanicError of a value that recover returned.
func Panicked(v any) *PanicError {
	text := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		text = e.Error()
	}
	return &PanicError{text: text, Stack: string(debug.Stack())}
}

// Contain is deferred by a function whose calls may panic: it puts the [PanicError] into
// *err.
func Contain(err *error) {
	if v := recover(); v != nil {
		*err = Panicked(v)
	}
}

func (e *PanicError) Error() string { return "panic: " + e.text }
