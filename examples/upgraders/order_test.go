package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	chi "github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/securews/securews/middleware"
)

// farewell is the last event of a stream whose session has been signed out.
const farewell = "event: end\ndata: {\"code\":3000,\"reason\":\"revoked\"}\n\n"

// own is the last event of a handler that says itself why its stream ends.
const own = "event: own\ndata: live: ended 3000 revoked\n\n"

// ending is the answer that a client reads if the user signs out.
type ending string

const (
	told     ending = "200, whole events, then the layer's own last event; the end is clean"
	toldOwn  ending = "200, whole events, then the handler's last event; the end is clean"
	untold   ending = "200, whole events and no last one; the end is clean"
	aborted  ending = "200, a part of the events; the response is aborted"
	replaced ending = "401 credential_revoked in place of the stream"
)

// handlers are the event streams of the three kinds of handlers.
var handlers = map[string]func(rw http.ResponseWriter, r *http.Request){
	"obeys": func(rw http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil && say(rw, i) == nil; i++ {
			pause(r.Context())
		}
	},
	"speaks": func(rw http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil && say(rw, i) == nil; i++ {
			pause(r.Context())
		}
		_, _ = fmt.Fprintf(rw, "event: own\ndata: %v\n\n", context.Cause(r.Context()))
	},
	"is deaf": func(rw http.ResponseWriter, _ *http.Request) {
		for i := 0; say(rw, i) == nil; i++ {
			pause(context.Background())
		}
	},
}

func say(rw http.ResponseWriter, i int) error {
	if i == 0 {
		rw.Header().Set("Content-Type", "text/event-stream")
	}
	_, err := fmt.Fprintf(rw, "data: %d\n\n", i)
	_ = http.NewResponseController(rw).Flush() // an outer layer may hide it
	return err
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Millisecond):
	}
}

// orders are layers in front of the site, or between the layer of the registry and the
// handler.
var orders = []struct {
	name          string
	outer, inner  middleware.Middleware
	encoded       bool // the client reads gzip
	obeys, speaks ending
	isDeaf        ending
}{
	{name: "bare", obeys: told, speaks: told, isDeaf: told},
	{name: "TimeoutHandler outside", outer: timeoutHandler, obeys: told, speaks: told, isDeaf: told},
	{name: "TimeoutHandler inside", inner: timeoutHandler, obeys: replaced, speaks: replaced, isDeaf: replaced},
	{name: "chi Compress outside", outer: compress, encoded: true, obeys: told, speaks: told, isDeaf: told},
	{name: "chi Compress inside", inner: compress, encoded: true, obeys: untold, speaks: toldOwn, isDeaf: aborted},
	{name: "otelhttp outside", outer: telemetry, obeys: told, speaks: told, isDeaf: told},
	{name: "otelhttp inside", inner: telemetry, obeys: told, speaks: told, isDeaf: told},
	{name: "chi Timeout inside", inner: chi.Timeout(time.Minute), obeys: told, speaks: told, isDeaf: told},
	{name: "chi Throttle inside", inner: chi.Throttle(10), obeys: told, speaks: told, isDeaf: told},
	{name: "a writer with Unwrap outside", outer: wrapping, obeys: told, speaks: told, isDeaf: told},
	{name: "a writer without Unwrap outside", outer: hiding, obeys: told, speaks: told, isDeaf: told},
}

var (
	compress  = chi.Compress(5, "text/event-stream")
	telemetry = otelhttp.NewMiddleware("stream")
)

func timeoutHandler(h http.Handler) http.Handler {
	return http.TimeoutHandler(h, time.Minute, "late")
}

// wrapped is a writer that many layers put in front: it counts, passes Flush on, and lets
// http.ResponseController through.
type wrapped struct {
	hidden
}

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hidden is the same without Unwrap.
type hidden struct {
	http.ResponseWriter
	bytes *int
}

func (w hidden) Write(p []byte) (int, error) { *w.bytes += len(p); return w.ResponseWriter.Write(p) }

func (w hidden) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func wrapping(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapped{hidden{rw, new(int)}}, r) })
}

func hiding(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.ServeHTTP(hidden{rw, new(int)}, r) })
}

// An event stream ends at the logout with any layer around it and any handler behind it.
// Go's client and curl read the ending of the table.
func TestStreamEndsInEveryOrderOfLayers(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		for name, want := range map[string]ending{"obeys": order.obeys, "speaks": order.speaks, "is deaf": order.isDeaf} {
			for _, kind := range []string{"TLS", "HTTP/2"} {
				t.Run(fmt.Sprintf("%s, handler %s, %s", order.name, name, kind), func(t *testing.T) {
					t.Parallel()
					s := newStreamWorld(t, kind, handlers[name], order.outer, order.inner)
					t.Run("Go", func(t *testing.T) { s.wantEnding(t, readGo(t, s), order.encoded, want) })
					t.Run("curl", func(t *testing.T) {
						got := readCurl(t, s, kind)
						s.wantEnding(t, got, order.encoded, want)
						wantCurl(t, got, kind, want)
					})
				})
			}
		}
	}
}
