package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Refusal is an error that knows its answer. Status, Reason and Header reach the
// client; Err is for the log alone.
type Refusal struct {
	Status int
	Reason Reason
	Header http.Header
	Err    error
}

// Error is the text for the log.
func (f *Refusal) Error() string {
	switch {
	case f == nil:
		return "middleware: a nil *Refusal"
	case f.Err == nil:
		return fmt.Sprintf("middleware: refused: %s", f.Reason)
	}
	return fmt.Sprintf("middleware: refused: %s: %v", f.Reason, f.Err)
}

// Unwrap returns the cause.
func (f *Refusal) Unwrap() error {
	if f == nil { // as an error it is one, and errors.Is comes by
		return nil
	}
	return f.Err
}

// problem is the body of RFC 9457; reason is our extension member.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Reason Reason `json:"reason"`
}

// Refuse answers a request that is turned away, with the status, the headers and
// the reason of the [Refusal] in err, as application/problem+json (RFC 9457). An
// error that holds none answers 500 `internal`. Nothing else of err reaches the
// client (ASVS 16.5.1); [AccessLog] logs it. An [OnRefuse] around is asked first.
//
// Headers that the layers further out have set stay, but for those that describe
// a body.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *Refusal
	if !errors.As(err, &f) || f == nil || f.Status < 400 || f.Status > 599 {
		f = &Refusal{Status: http.StatusInternalServerError, Reason: ReasonInternal, Err: err}
	}
	recordRefusal(r.Context(), f.Reason, err)
	if answer, ok := r.Context().Value(onRefuseKey{}).(refuser); ok && answer(w, r, f) {
		return
	}
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(f.Status), f.Status, f.Reason})
	h := w.Header()
	for _, name := range [...]string{
		"Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Etag", "Last-Modified", "Repr-Digest",
	} {
		delete(h, name)
	}
	h.Set("Content-Type", "application/problem+json; charset=utf-8") // ASVS 4.1.1
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for name, values := range f.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

type (
	onRefuseKey struct{} // refuser
	refuser     = func(w http.ResponseWriter, r *http.Request, f *Refusal) (answered bool)
)

// OnRefuse has [Refuse] ask answer, for every request that a layer inside refuses, before
// it writes anything: answer either answers the request itself and returns true, or
// touches neither w nor what it stands for. The innermost OnRefuse is the one that is
// asked.
//
// It is what readable refusals of WebSocket handshakes are made of: see ReadableRefusals
// in package ws.
func OnRefuse(answer func(w http.ResponseWriter, r *http.Request, f *Refusal) (answered bool)) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), onRefuseKey{}, answer)))
		})
	}
}
