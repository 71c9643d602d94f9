package interop

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/securews/securews/middleware/live"
)

// farewell is the last event of a stream whose session has been signed out.
const farewell = "event: end\ndata: {\"code\":3000,\"reason\":\"revoked\"}\n\n"

// An event stream ends among layers of chi, of a handler that obeys its context and of one
// that does not. The last event is there wherever the layer sees an unencoded stream.
func TestEventStreamEndsAmongLayersOfChi(t *testing.T) {
	t.Parallel()
	compress := middleware.Compress(5, "text/event-stream")
	for _, order := range []struct {
		name          string
		outer, inner  func(http.Handler) http.Handler
		withoutReason bool
	}{
		{name: "Compress outside", outer: compress},
		{name: "Compress inside", inner: compress, withoutReason: true},
		{name: "Timeout inside", inner: middleware.Timeout(time.Minute)},
		{name: "Throttle inside", inner: middleware.Throttle(10)},
		{name: "WrapResponseWriter inside", inner: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(middleware.NewWrapResponseWriter(rw, r.ProtoMajor), r)
			})
		}},
	} {
		for _, deaf := range []bool{false, true} {
			for _, kind := range []string{"plain", "TLS", "HTTP/2"} {
				t.Run(order.name+map[bool]string{false: ", obedient/", true: ", deaf/"}[deaf]+kind, func(t *testing.T) {
					t.Parallel()
					grace := patience
					if order.withoutReason { // a deaf handler's end is the cut
						grace = 200 * time.Millisecond
					}
					w := newWorld(t, live.Config{Timeouts: live.Timeouts{Grace: grace}})
					h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { sayEvents(rw, r, deaf) }))
					if order.inner != nil {
						h = order.inner(h)
					}
					if h = w.front(h); order.outer != nil {
						h = order.outer(h)
					}
					got, err := w.readEvents(h, kind)
					if !order.withoutReason && (err != nil || !strings.HasSuffix(got, "\n\n"+farewell)) {
						t.Errorf("read %q, %v", got[:min(100, len(got))], err)
					}
					if order.withoutReason && (deaf && err == nil || strings.Contains(got, "event: end")) {
						t.Errorf("read %q, %v", got[:min(100, len(got))], err)
					}
					w.settled()
				})
			}
		}
	}
}

// readEvents reads a stream, and signs out once it has begun.
func (w *world) readEvents(h http.Handler, kind string) (string, error) {
	w.t.Helper()
	s := serve(w.t, h, kind)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	must(w.t, err)
	r.Header.Set("Session", "session")
	r.Header.Set("Accept", "text/event-stream")
	res, err := s.Client().Do(r)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	first := make([]byte, 1)
	_, err = io.ReadFull(res.Body, first)
	must(w.t, err)
	w.signOut("session")
	rest, err := io.ReadAll(res.Body)
	return string(first) + string(rest), err
}

func sayEvents(rw http.ResponseWriter, r *http.Request, deaf bool) {
	rw.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := io.WriteString(rw, "data: 1\n\n"); err != nil {
			return
		}
		_ = http.NewResponseController(rw).Flush()
		time.Sleep(5 * time.Millisecond)
		if !deaf && r.Context().Err() != nil {
			return
		}
	}
}
