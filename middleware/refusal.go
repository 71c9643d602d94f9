package middleware

import (
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
	if f.Err == nil {
		return fmt.Sprintf("middleware: refused: %s", f.Reason)
	}
	return fmt.Sprintf("middleware: refused: %s: %v", f.Reason, f.Err)
}

// Unwrap returns the cause.
func (f *Refusal) Unwrap() error { return f.Err }

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
// client (ASVS 16.5.1); [AccessLog] logs it.
//
// Headers that the layers further out have set stay, but for those that describe
// a body.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *Refusal
	if !errors.As(err, &f) || f == nil || f.Status < 400 || f.Status > 599 {
		f = &Refusal{Status: http.StatusInternalServerError, Reason: ReasonInternal, Err: err}
	}
	recordRefusal(r.Context(), f.Reason, err)
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

// NoteRefusal tells the [AccessLog] that err turned the request away, for a layer that
// says so to the client in another way than [Refuse] does.
func NoteRefusal(r *http.Request, err error) {
	reason := ReasonInternal
	var f *Refusal
	if errors.As(err, &f) && f != nil {
		reason = f.Reason
	}
	recordRefusal(r.Context(), reason, err)
}
