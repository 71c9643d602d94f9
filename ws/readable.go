package ws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// ExplainRefusals is a layer for handshakes on their way to this handler: a page whose
// handshake is turned away by a layer inside it, such as a rate limit or another Auth,
// reads why as [Config.ExplainRefusals] has it, under this handler's policies and limits.
// Mount it outside the layers it is to speak for; where it is mounted the handler's own
// refusals are readable, too. Everything else passes.
func (h *Handler) ExplainRefusals(next http.Handler) http.Handler {
	if h == nil || h.front == nil {
		return next // the zero Handler explains nothing
	}
	explain := func(w http.ResponseWriter, r *http.Request, err error) bool {
		var f *middleware.Refusal
		return errors.As(err, &f) && h.explain(w, r, f)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextkey.Explain{}, explain)))
	})
}

// readable is the close error that says what the refusal would; nil where it stays HTTP.
func readable(f *middleware.Refusal) *CloseError {
	switch f.Status {
	case http.StatusUnauthorized:
		switch f.Reason {
		case middleware.ReasonCredentialExpired:
			return ErrExpired
		case middleware.ReasonCredentialRevoked:
			return ErrRevoked
		}
		return ErrReauth
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusTooManyRequests:
		return ErrLater
	case http.StatusServiceUnavailable:
		if f.Reason == middleware.ReasonDraining {
			return ErrDraining
		}
		return ErrLater
	}
	return nil
}

// explain completes the upgrade of an admissible handshake from a page, where there is
// room, and closes with the refusal's word. Nothing is served: the connection's cause is
// there before the connection, and it is neither in the index nor does it take one of
// Limits.Connections. The wheel cuts it after Timeouts.Close.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, f *middleware.Refusal) (explained bool) {
	cause := readable(f)
	if cause == nil || len(r.Header["Origin"]) == 0 || canHijack(w) != nil {
		return false // a client without an Origin is no page: it can read the answer
	}
	if r = h.cfg.Auth.Stripped(r); h.admissible(r) != nil {
		return false
	}
	awaited := h.await()
	defer func() {
		if !explained {
			h.explained(awaited)
		}
	}()
	if h.explaining.Add(1) > int64(h.cfg.Limits.ReadableRefusals) {
		return false
	}
	c := h.blankConn(r)
	c.refused, c.awaited = true, awaited
	c.end(cause.Wrap(f))
	if c.accept(w, r) != nil {
		return false
	}
	middleware.Annotate(r.Context(), slog.String("connection", c.id), slog.Int("code", int(cause.Code)))
	go c.finish(cause)
	return true
}

// explained gives back what explain has taken.
func (h *Handler) explained(awaited bool) {
	h.explaining.Add(-1)
	if awaited {
		h.gone()
	}
}
