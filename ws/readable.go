package ws

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/securews/securews/middleware"
)

// readable is the close frame that says what the refusal would; nil where it stays HTTP.
func readable(err error) *CloseError {
	var f *middleware.Refusal
	if !errors.As(err, &f) || f == nil {
		return nil
	}
	switch f.Reason {
	case middleware.ReasonCredentialExpired:
		return ErrExpired
	case middleware.ReasonCredentialRevoked:
		return ErrRevoked
	case middleware.ReasonDraining:
		return ErrDraining
	}
	switch f.Status {
	case http.StatusUnauthorized:
		return ErrReauth
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return ErrLater
	}
	return nil
}

// turnAway refuses a handshake that is admissible but for what err says: readably, where
// that is asked for and there is room, and otherwise as HTTP.
func (h *Handler) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	if !h.cfg.ReadableRefusals || !h.explain(w, r, err) {
		middleware.Refuse(w, r, err)
	}
}

// explain completes the upgrade and closes with the refusal's word. Nothing is served: the
// connection's cause is there before the connection, and it is neither in the index nor
// does it take one of Limits.Connections. The wheel cuts it after Timeouts.Close.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, err error) (explained bool) {
	cause := readable(err)
	if cause == nil || len(r.Header["Origin"]) == 0 || canHijack(w) != nil {
		return false // a client without an Origin is no page: it can read the answer
	}
	defer func() {
		if !explained {
			h.explaining.Add(-1)
		}
	}()
	if h.explaining.Add(1) > int64(h.cfg.Limits.ReadableRefusals) {
		return false
	}
	c := h.blankConn(r)
	c.refused = true
	c.end(cause.because(err))
	if c.accept(w, r) != nil {
		return false
	}
	middleware.NoteRefusal(r, err)
	middleware.Annotate(r.Context(), slog.String("connection", c.id), slog.Int("code", int(cause.Code)))
	go c.finish(cause)
	return true
}
