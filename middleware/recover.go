package middleware

import (
	"log/slog"
	"net/http"

	"github.com/securews/securews/internal/bounded"
)

// Recover answers a panic of the handlers behind it with 500 `internal`, and logs it once:
// as the cause in the line of an outer [AccessLog], else in a line of its own to log; nil:
// [slog.Default]. The type of the value is logged, with the text of a runtime error and the
// stack; another value may hold a secret, see [DangerouslyLogPanicText]. If the response has
// begun, the connection is ended instead, so that the response does not look complete.
//
// A panic with [http.ErrAbortHandler] passes. Mount Recover inside AccessLog, outside all
// layers whose panics it is to contain.
func Recover(log *slog.Logger) Middleware {
	return layered(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		cw, ok := w.(*countingWriter) // of the AccessLog around
		if !ok {
			cw = &countingWriter{ResponseWriter: w}
		}
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				recovered(log, cw, r, bounded.Panicked(v))
			}
		}()
		next.ServeHTTP(cw, r)
	})
}

func recovered(log *slog.Logger, w *countingWriter, r *http.Request, err *bounded.PanicError) {
	if recordOf(r.Context()) == nil {
		logPanic(log, err, err)
	}
	if w.status != 0 || w.hijacked {
		recordRefusal(r.Context(), ReasonInternal, err)
		panic(http.ErrAbortHandler)
	}
	refuse(w, r, err)
}

func logPanic(log *slog.Logger, cause error, p *bounded.PanicError) {
	if log == nil {
		log = slog.Default()
	}
	log.Error("panic", "cause", cause, "stack", p.Stack)
}
