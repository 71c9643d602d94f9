package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/securews/securews/internal/bounded"
)

// AccessLog writes one line for each request when its handler returns: method, host, path,
// status, bytes, duration, client address, Origin, request id, principal, and for a
// refusal its Reason and cause. Queries, cookies, Authorization, subprotocols and
// bodies are never logged (ASVS 16.2.5): tokens travel in all of them. Server errors and
// panics are logged at Error, refusals at Warn, the rest at Info. A server error because the
// client has left is at Warn. A response that is aborted by a panic with [http.ErrAbortHandler]
// has "panic", but is not an error: a download whose credential has ended is one. If package
// live has ended the response before its handler returned, the line says why, in the group "end":
// code, reason, and cause if there is one.
//
// An attacker can cause any number of refusals, also with 503, by using up a limit. Of the
// lines of refusals, an AccessLog writes 100 at once and then 10 a second for each Reason. It
// counts the others, and the next line of that Reason has the number as
// "suppressed" (ASVS 16.3.1). Those of panics and at Info are never suppressed.
//
// Inside another AccessLog it adds nothing. A nil logger is [slog.Default].
func AccessLog(log *slog.Logger) Middleware {
	limit := &refusalLimit{}
	return layered(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if recordOf(r.Context()) != nil {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		rec := newAccessRecord(r.Context())
		rec.writer.ResponseWriter = w
		r = r.WithContext(rec)
		defer func() {
			p := recover()
			rec.write(log, limit, r, start, p)
			if p != nil {
				panic(p) // net/http contains it
			}
		}()
		next.ServeHTTP(&rec.writer, r)
	})
}

// level returns how the request is logged, and the stack of a contained panic.
func (rec *accessRecord) level(status int, panicked any) (level slog.Level, stack string) {
	contained, ok := errors.AsType[*bounded.PanicError](rec.err)
	if ok {
		stack = contained.Stack
	}
	switch {
	case ok, panicked != nil && panicked != http.ErrAbortHandler, status >= 500 && !rec.abandoned():
		return slog.LevelError, stack
	case rec.reason != "":
		return slog.LevelWarn, stack
	}
	return slog.LevelInfo, stack
}

// abandoned reports whether the request failed because its client has left, which an
// attacker can do as often as be refused.
func (rec *accessRecord) abandoned() bool {
	return rec.reason != "" && errors.Is(rec.err, context.Canceled) && errors.Is(rec.Context.Err(), context.Canceled)
}

func (rec *accessRecord) write(log *slog.Logger, limit *refusalLimit, r *http.Request, start time.Time, panicked any) {
	if log == nil {
		log = slog.Default()
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	status := rec.writer.answered(panicked != nil)
	level, stack := rec.level(status, panicked)
	if !log.Enabled(r.Context(), level) {
		return
	}
	var suppressed int64
	if rec.reason != "" && stack == "" && (panicked == nil || panicked == http.ErrAbortHandler) {
		var ok bool
		if suppressed, ok = limit.allow(rec.reason); !ok {
			return
		}
	}
	attrs := rec.appendRequest(make([]slog.Attr, 0, 16), r, status, start)
	if rec.reason != "" {
		attrs = append(attrs, slog.String("reason", string(rec.reason)), slog.Any("cause", rec.err))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64("suppressed", suppressed))
	}
	if stack != "" {
		attrs = append(attrs, slog.String("stack", stack))
	}
	if panicked != nil {
		attrs = append(attrs, slog.Bool("panic", true))
	}
	log.LogAttrs(r.Context(), level, "request", append(attrs, rec.attrs...)...)
}

// appendRequest appends what every line says; the caller has made the room, which thus needs
// no allocation.
func (rec *accessRecord) appendRequest(attrs []slog.Attr, r *http.Request, status int, start time.Time) []slog.Attr {
	attrs = append(attrs,
		slog.String("method", r.Method),
		slog.String("host", r.Host),
		slog.String("path", r.URL.Path),
		slog.Int("status", status),
		slog.Int64("bytes", rec.writer.bytes),
		slog.Duration("took", time.Since(start)),
		slog.String("client", clientAddress(r)),
		slog.String("id", *rec.lockedID()),
	)
	if o := r.Header["Origin"]; len(o) > 0 {
		attrs = append(attrs, slog.String("origin", strings.Join(o, ", "))) // Join copies no single one
	}
	if rec.principal != nil {
		attrs = append(attrs, rec.principalAttr())
	}
	return attrs
}
