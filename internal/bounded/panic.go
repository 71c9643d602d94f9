package bounded

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PanicError is a contained panic. Its text names the type of the value, or is the text of
// an error of the Go runtime, which has types, lengths and indices only; another value may
// hold a secret or a payload and is not shown (ASVS 16.2.5).
type PanicError struct {
	text  string
	value any
	Stack string
}

// Panicked returns the PanicError of a value that recover returned.
func Panicked(v any) *PanicError {
	text := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok && ofRuntime(e) {
		text = e.Error()
	}
	return &PanicError{text: text, value: v, Stack: string(debug.Stack())}
}

// ofRuntime reports whether the type of e belongs to the Go runtime: any package can implement
// [runtime.Error].
func ofRuntime(e runtime.Error) bool {
	t := reflect.TypeOf(e)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "runtime" || strings.HasPrefix(t.PkgPath(), "internal/runtime/")
}

// Contain is deferred by a function whose calls may panic: it puts the [PanicError] into
// *err.
func Contain(err *error) {
	if v := recover(); v != nil {
		*err = Panicked(v)
	}
}

func (e *PanicError) Error() string { return "panic: " + e.text }

// Format writes the text of Error with every verb, since %#v would show the value.
func (e *PanicError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// maxText bounds the text of a value, in bytes.
const maxText = 1 << 10

// DangerousText returns the text of the value, if that is a string or an error; "" otherwise.
// A [slog.LogValuer] decides which text it has. Characters that are not printable are escaped
// as in Go, and a long text is cut.
func (e *PanicError) DangerousText() string {
	value := slog.AnyValue(e.value).Resolve()
	s := ""
	switch v := value.Any().(type) {
	case string:
		s = v
	case error:
		s = fmt.Sprint(v) // contains a panic of its method
	}
	if len(s) <= maxText {
		return printable(s)
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return printable(s[:end]) + "…"
}

func printable(s string) string {
	var out []byte
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			out = append(out, s[:n]...)
		default:
			quoted := strconv.QuoteRune(r)
			out = append(out, quoted[1:len(quoted)-1]...)
		}
		s = s[n:]
	}
	return string(out)
}
