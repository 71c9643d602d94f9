package main

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// traced is a layer with a span for each request, which ends when next returns. A ws.Handler
// returns at its 101, so the span of a handshake ends there.
func traced(tracer trace.Tracer) middleware.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// handshakeSpan is an Authorize that hands the span of the handshake over to Serve, whose
// own context has nothing of the request.
func handshakeSpan(r *http.Request, _ middleware.Principal) (value any, err error) {
	return trace.SpanContextFromContext(r.Context()), nil
}

// startWork starts a span for work of Serve: a trace of its own, which links to the handshake.
func startWork(ctx context.Context, tracer trace.Tracer, c *ws.Conn, name string) (context.Context, trace.Span) {
	handshake, _ := c.Value().(trace.SpanContext)
	return tracer.Start(ctx, name, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: handshake}),
		trace.WithAttributes(attribute.String("securews.connection", c.ID())))
}
