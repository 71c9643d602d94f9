package middleware

import (
	"log/slog"
	"net/http"

	"github.com/securews/securews/internal/bounded"
)

// Recover answers a panic of the handlers behind it with 500 `internal`, and logs it once:
// as the cause in the line of an outer [AccessLog], else in a line of its own to log; nil:
// [slog.Default]. The type of the value is logged, with the text of a runtime error and the
// stack; another value may hold a secret. If the response has begun, the connection is
// ended instead, so that the response does not look complete.
//
// A panic with [http.ErrAbortHandler] passes. Mount Recover inside AccessLog, outside all
// layers whose panics it is to contain.
func Recover(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cw := &countingWriter{ResponseWriter: w}
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler {
					panic(v)
				}
				err := bounded.Panicked(v)
				if recordOf(r.Context()) == nil {
					logPanic(log, err)
				}
				if cw.status != 0 || cw.hijacked {
					recordRefusal(r.Context(), ReasonInternal, err)
					panic(http.ErrAbortHandler)
				}
				Refuse(w, r, err)
			}()
			next.ServeHTTP(cw, r)
		})
	}
}

func logPanic(log *slog.Logger, err *bounded.PanicError) {
	if log == nil {
		log = slog.Default()
	}
	log.Error("panic", "cause", err, "stack", err.Stack)
}
