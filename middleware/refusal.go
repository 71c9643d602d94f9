package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/opening"
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

// Unauthorized returns a [Refusal] of 401. It is for authenticators of the user's own; the
// reason is one of ReasonCredentialInvalid, ReasonCredentialExpired and
// ReasonCredentialRevoked, or the user's own word.
func Unauthorized(reason Reason, err error) error {
	return &Refusal{Status: http.StatusUnauthorized, Reason: reason, Err: err}
}

// Forbidden returns a [Refusal] of 403 `forbidden`: authenticated, but not allowed.
func Forbidden(err error) error {
	return &Refusal{Status: http.StatusForbidden, Reason: ReasonForbidden, Err: err}
}

// Unavailable returns a [Refusal] of 503 `unavailable` with Retry-After: the answer is not
// known, and the request is refused (ASVS 16.5.3).
func Unavailable(err error) error {
	return &Refusal{
		Status: http.StatusServiceUnavailable, Reason: ReasonUnavailable,
		Header: http.Header{"Retry-After": {"2"}}, Err: err,
	}
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
// client (ASVS 16.5.1); [AccessLog] logs it. A handshake that is refused ends its
// connection.
//
// Headers that outer layers have set stay, except those that describe a body.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *Refusal
	if !errors.As(err, &f) || f == nil || f.Status < 400 || f.Status > 599 {
		f = &Refusal{Status: http.StatusInternalServerError, Reason: ReasonInternal, Err: err}
	}
	recordRefusal(r.Context(), f.Reason, err)
	explain, ok := r.Context().Value(contextkey.Explain{}).(func(http.ResponseWriter, *http.Request, error) bool)
	if ok && explain(w, r, f) {
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
	if r.ProtoMajor == 1 && opening.IsHandshake(r) {
		// What follows a refused handshake on its connection may be meant for a tunnel:
		// it is not served as HTTP.
		h["Connection"] = append(slices.Clip(h["Connection"]), "close")
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
