package middleware

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
)

type accessRecordKey struct{} // *accessRecord

// RequestID returns the id that [AccessLog] gave the request; "" without one.
func RequestID(ctx context.Context) string {
	if rec := recordOf(ctx); rec != nil {
		return *rec.id
	}
	if id, ok := ctx.Value(contextkey.RequestID{}).(*string); ok && id != nil {
		return *id
	}
	return ""
}

// accessRecord gathers what the layers further in know about a request.
type accessRecord struct {
	id *string // apart, because it may outlive the rest

	mu        sync.Mutex
	reason    Reason
	err       error
	principal *Principal
	attrs     []slog.Attr
	room      [2]slog.Attr // where attrs begins
}

func recordOf(ctx context.Context) *accessRecord {
	rec, _ := ctx.Value(accessRecordKey{}).(*accessRecord)
	return rec
}

func recordRefusal(ctx context.Context, reason Reason, err error) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.reason, rec.err = reason, err
		rec.mu.Unlock()
	}
}

func recordPrincipal(ctx context.Context, p *Principal) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.principal = p
		rec.mu.Unlock()
	}
}

// Annotate adds attributes to the request's line in the [AccessLog], if it has one.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if rec := recordOf(ctx); rec != nil {
		rec.mu.Lock()
		rec.attrs = append(rec.attrs, attrs...)
		rec.mu.Unlock()
	}
}

// AccessLog writes one line a request when its handler returns: method, host, path,
// status, bytes, duration, client address, Origin, request id, principal, and for a
// refusal its Reason and cause. Queries, cookies, Authorization, subprotocols and
// bodies are never logged (ASVS 16.2.5): tokens travel in all of them. Server errors
// are logged at Error, refusals at Warn, the rest at Info.
//
// Inside another AccessLog it adds nothing. A nil logger is [slog.Default].
func AccessLog(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if recordOf(r.Context()) != nil {
				next.ServeHTTP(w, r)
				return
			}
			start := time.Now()
			id := rand.Text()
			rec := &accessRecord{id: &id}
			rec.attrs = rec.room[:0]
			r = r.WithContext(context.WithValue(r.Context(), accessRecordKey{}, rec))
			cw := &countingWriter{ResponseWriter: w}
			defer func() {
				p := recover()
				rec.write(log, r, cw, time.Since(start), p)
				if p != nil {
					panic(p) // net/http contains it
				}
			}()
			next.ServeHTTP(cw, r)
		})
	}
}

func (rec *accessRecord) write(log *slog.Logger, r *http.Request, w *countingWriter, took time.Duration, panicked any) {
	if log == nil {
		log = slog.Default()
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	status := w.answered(panicked != nil)
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case rec.reason != "":
		level = slog.LevelWarn
	}
	if !log.Enabled(r.Context(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 16),
		slog.String("method", r.Method),
		slog.String("host", r.Host),
		slog.String("path", r.URL.Path),
		slog.Int("status", status),
		slog.Int64("bytes", w.bytes),
		slog.Duration("took", took),
		slog.String("client", clientAddress(r)),
		slog.String("id", *rec.id),
	)
	if o := r.Header["Origin"]; len(o) > 0 {
		attrs = append(attrs, slog.Any("origin", o))
	}
	if rec.principal != nil {
		attrs = append(attrs, slog.Any("principal", *rec.principal))
	}
	if rec.reason != "" {
		attrs = append(attrs, slog.String("reason", string(rec.reason)), slog.Any("cause", rec.err))
	}
	var contained *bounded.PanicError
	if errors.As(rec.err, &contained) {
		attrs = append(attrs, slog.String("stack", contained.Stack))
	}
	if panicked != nil {
		attrs = append(attrs, slog.Bool("panic", true))
	}
	log.LogAttrs(r.Context(), level, "request", append(attrs, rec.attrs...)...)
}

// countingWriter sees status and size pass. It hides nothing: Unwrap serves
// http.ResponseController, Hijack and Flush those who still ask by type.
type countingWriter struct {
	http.ResponseWriter
	status   int
	bytes    int64
	hijacked bool
}

func (w *countingWriter) answered(panicked bool) int {
	switch {
	case w.status != 0:
		return w.status
	case w.hijacked:
		return http.StatusSwitchingProtocols
	case panicked:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController asks for before Flush.
func (w *countingWriter) FlushError() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *countingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, brw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, brw, err
}
