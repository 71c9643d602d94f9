package live

import (
	"context"
	"net/http"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Handler binds each response of next to the credential that the [middleware.Auth] in front
// has vouched for. It is to be mounted behind that Auth; without one, it answers 500 and
// logs that once. Behind itself it does nothing for the same voucher.
//
// A response becomes a member of the registry before next is called if the request is a
// WebSocket handshake or accepts text/event-stream; otherwise at the first Done of the
// request's context, the first Flush or Hijack, and before the header if its type is
// text/event-stream. A limit then refuses with 429 or 503. A response that is longer than
// 64 KiB, or whose header has been written before, is counted, and no limit refuses it.
// Shorter ones are not members.
//
// When the credential ends, the context of the request ends with the [*Cause]:
//
//   - A response to a safe request (RFC 9110 §9.2.1) without a header yet becomes a problem,
//     such as 401 `credential_revoked`, when next returns.
//   - A text/event-stream without a Content-Encoding ends, between two events, with the event
//     "end" whose data is {"code":3000,"reason":"revoked"}.
//   - Writes fail with the cause after Timeouts.Grace; those of an event stream at the next
//     end of an event, if the cause is [Revoked], [Forbidden] or a change of roles. After a
//     second Grace, reads and writes that wait are cut by deadlines. Unless it is an event
//     stream, a body that was begun before the end is aborted if it is not of its
//     Content-Length, so that it does not look complete.
//   - The response to another request, such as a POST, is aborted if it has no header yet when
//     next returns, since the request may have taken effect.
//   - A hijacked WebSocket, of any library, gets a close frame with code and reason at the
//     next boundary of its frames, and nothing after it. The handler then reads the same
//     close frame, as though the peer had sent it, or the cause if it has read a part of a
//     frame; after a quarter of Grace also if its own frame is not complete. The context ends
//     after that and not within a frame, for some libraries would leave that incomplete.
//     Further writes are dropped, and fail after 64 KiB or Grace. TCP is closed when the peer
//     has answered, or after Grace.
//   - Another hijacked connection is cut, and the stream of a CONNECT is reset, such as that of
//     a WebSocket over HTTP/2 (RFC 8441).
//
// The ResponseWriter of next implements http.Flusher and io.ReaderFrom; http.Hijacker on
// HTTP/1.1; and http.Pusher on HTTP/2. http.ResponseController reaches the rest.
//
// A panic of next with [http.ErrAbortHandler] counts as its return if the credential has ended:
// [net/http/httputil.ReverseProxy] panics so if the context ends within a body. Then any body
// but an event stream is aborted if it is not of its Content-Length. Other panics go on, and
// abort the response. One Write that has begun before the end goes on until the cut. A hijacked
// connection stays a member until it is closed, also when next has returned. One that next never
// closes stays until Timeouts.MaxAge; if next panics, it ends then, with 1011 `internal`. A
// connection that next does not take from net/http is not bound. A ws.Handler behind it takes its
// connections over.
func (g *Registry) Handler(next http.Handler) http.Handler {
	return &layer{registry: g, next: next}
}

func (l *layer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if l.registry.zero() {
		middleware.Refuse(rw, r, errZero)
		return
	}
	ctx := r.Context()
	v, ok := middleware.VoucherFrom(ctx)
	if !ok {
		l.refuseUnvouched(rw, r)
		return
	}
	if l.nested(ctx, v) {
		l.next.ServeHTTP(rw, r)
		return
	}
	w := &response{ResponseWriter: rw, layer: l, request: r, contextState: contextState{outer: ctx}, kind: requestKindOf(r)}
	w.serve()
}

func (l *layer) refuseUnvouched(rw http.ResponseWriter, r *http.Request) {
	l.noVoucher.Do(func() { l.registry.cfg.Log.Error(errNoVoucher.Error(), "route", routeOf(r)) })
	middleware.Refuse(rw, r, errNoVoucher)
}

// nested reports whether the same layer has bound the response under the same voucher.
func (l *layer) nested(ctx context.Context, v *middleware.Voucher) bool {
	outer, ok := ctx.Value(contextkey.Layer{}).(*response)
	if !ok || outer.layer.registry != l.registry {
		return false
	}
	same, _ := middleware.VoucherFrom(outer.outer)
	return same == v
}
