package middleware

import (
	"context"
	"errors"
	"log/slog"

	"github.com/securews/securews/internal/bounded"
)

// DangerouslyLogPanicText returns a logger that adds `panic_text` to a line about a contained
// panic: the text of its value, if that is a string or an error. The layers of this module log
// only the type of a value, because its text may hold a secret or a payload (ASVS 16.2.5), and
// errors of the Go runtime in full. Use it as the log of [AccessLog], [Recover], ws.Config,
// live.Config and the others. A nil log is [slog.Default]. It may become the default logger if
// its handler is not that of package slog, which writes to package log and thus to itself.
//
// A [slog.LogValuer] decides which text it has. Characters that are not printable are
// escaped, and a text is cut after 1 KiB.
func DangerouslyLogPanicText(log *slog.Logger) *slog.Logger {
	if log == nil {
		log = slog.Default()
	}
	return slog.New(panicTextHandler{log.Handler()})
}

// panicTextHandler adds the text of the first panic among the attributes of a line.
type panicTextHandler struct{ slog.Handler }

func (h panicTextHandler) Handle(ctx context.Context, r slog.Record) error {
	text := ""
	r.Attrs(func(a slog.Attr) bool {
		text = panicText(a)
		return text == ""
	})
	if text != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("panic_text", text))
	}
	return h.Handler.Handle(ctx, r)
}

func (h panicTextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return panicTextHandler{h.Handler.WithAttrs(attrs)}
}

func (h panicTextHandler) WithGroup(name string) slog.Handler {
	return panicTextHandler{h.Handler.WithGroup(name)}
}

func panicText(a slog.Attr) string {
	err, _ := a.Value.Any().(error)
	if p, ok := errors.AsType[*bounded.PanicError](err); ok {
		return p.DangerousText()
	}
	return ""
}
