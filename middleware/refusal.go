package middleware

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/opening"
)

// Refusal is an error that knows its answer. Status, Reason and Header reach the
// client; Err is for the log alone. A Status outside of 400 to 599 is answered as 500 `internal`.
// A Refusal may be answered many times, and is not changed.
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
	if f == nil { // errors.Is calls Unwrap on a nil *Refusal that was returned as an error
		return nil
	}
	return f.Err
}

// Unauthorized returns a [Refusal] of 401. It is for authenticators of the user's own; the
// reason is one of ReasonCredentialInvalid, ReasonCredentialExpired, ReasonCredentialRevoked
// and ReasonCredentialOutdated, or the user's own word.
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

// Refuse answers a request that is refused, with the status, the headers and
// the reason of the [Refusal] in err, as application/problem+json (RFC 9457). An
// error that holds none answers 500 `internal`. Nothing else of err reaches the
// client (ASVS 16.5.1); [AccessLog] logs it. Without an AccessLog around, only a contained
// panic is logged, to [slog.Default].
//
// A 401 without a WWW-Authenticate gets that of the Auth around, or Bearer: RFC 9110 §15.5.2
// requires a scheme. A handshake that is refused ends its connection. Headers that outer
// layers have set stay, except those that describe a body.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if p, ok := errors.AsType[*bounded.PanicError](err); ok && recordOf(r.Context()) == nil {
		logPanic(nil, err, p)
	}
	refuse(w, r, err)
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*Refusal](err)
	if !ok || f == nil || f.Status < 400 || f.Status > 599 {
		f = &Refusal{Status: http.StatusInternalServerError, Reason: ReasonInternal, Err: err}
	}
	recordRefusal(r.Context(), f.Reason, err)
	explain, ok := r.Context().Value(contextkey.Explain{}).(func(http.ResponseWriter, *http.Request, error) bool)
	if ok && explain(w, r, f) {
		return
	}
	setProblemHeader(w.Header(), f.Header)
	if f.Status == http.StatusUnauthorized && len(w.Header()["Www-Authenticate"]) == 0 {
		w.Header()["Www-Authenticate"] = challengesOf(r.Context())
	}
	setConnection(w.Header(), r.ProtoMajor, opening.IsHandshake(r))
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(problemBody(f.Status, f.Reason))
	}
}
