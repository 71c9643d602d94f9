package ws

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// ExplainRefusals is a layer for handshakes on their way to this handler: a page whose
// handshake is turned away by a layer inside it, such as a rate limit or another Auth,
// reads why as [Config.ExplainRefusals] has it, under this handler's policies and limits.
// Mount it outside those layers; the handler's own refusals then are readable, too.
// Everything else passes.
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

// readable returns the close error with the meaning of the refusal; nil if that stays HTTP.
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

// explain completes the upgrade of an admissible handshake from a page, if there is room,
// and closes with the word of the refusal. Nothing is served: the cause is there before the
// connection, which has no principal and takes none of the registry's places.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request, f *middleware.Refusal) bool {
	cause := readable(f)
	if cause == nil || readsProblems(r) || canHijack(w) != nil {
		return false
	}
	c, err := h.complete(w, r, cause.Wrap(f))
	switch {
	case errors.Is(err, errAnswered):
		h.abort(r, err)
	case err != nil:
		h.logPanic(r, err)
		return false
	}
	middleware.Annotate(r.Context(), slog.String("connection", c.ID()), slog.Int("code", int(cause.Code)))
	go c.finish(cause)
	return true
}

// readsProblems reports whether the client is not a page, so that it can read the answer: it
// sends no Origin, or asks for the media type, as no browser does.
func readsProblems(r *http.Request) bool {
	return len(r.Header["Origin"]) == 0 || strings.HasPrefix(r.Header.Get("Accept"), "application/problem+json")
}

var errNoRoom = errors.New("ws: Limits.ReadableRefusals is reached")

// complete is to explain as [Handler.open] is to serve: it upgrades, and every other way out gives
// the place back.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request, cause *CloseError) (_ *Conn, err error) {
	defer bounded.Contain(&err)
	r = h.cfg.Auth.Stripped(r)
	hs, err := h.cfg.parse(r)
	if err != nil {
		return nil, err
	}
	c := h.newConn(hs)
	c.ending.explains = true
	if !h.cfg.Live.Explain(contextkey.Key(), &c.binding, (*member)(c)) {
		return nil, errNoRoom
	}
	opened := false
	defer func() {
		if !opened {
			c.abandon()
		}
	}()
	c.prepare(r, nil)
	c.out.end(cause)
	if err := c.accept(w, r); err != nil {
		return nil, err
	}
	opened = true
	return c, nil
}
