package live

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	ours "github.com/securews/securews/middleware"
)

// opaque hides everything of the writer behind it but the three methods of the interface.
func opaque(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(struct{ http.ResponseWriter }{rw}, r)
	})
}

// An event stream ends among other layers, of a handler that obeys and of a deaf one. The
// last event is there wherever the layer sees an unencoded stream. The module internal/interop
// has the same with layers of chi.
func TestEventStreamEndsAmongOtherLayers(t *testing.T) {
	t.Parallel()
	for _, order := range []struct {
		name         string
		outer, inner func(http.Handler) http.Handler
	}{
		{
			name:  "AccessLog and Recover outside",
			outer: func(h http.Handler) http.Handler { return ours.AccessLog(nil)(ours.Recover(nil)(h)) },
		},
		{
			name:  "AccessLog and Recover inside",
			inner: func(h http.Handler) http.Handler { return ours.AccessLog(nil)(ours.Recover(nil)(h)) },
		},
		{name: "a writer without Unwrap outside", outer: opaque},
	} {
		for _, deaf := range []bool{false, true} {
			name := order.name + map[bool]string{false: ", obedient", true: ", deaf"}[deaf]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				bothHTTP(t, patience, func(t *testing.T, w *world, kind string) {
					h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { sayEvents(rw, r, deaf) }))
					if order.inner != nil {
						h = order.inner(h)
					}
					if h = w.front(h); order.outer != nil {
						h = order.outer(h)
					}
					s := serve(t, h, kind)
					_, body := get(t, s, "session", http.MethodGet, "Accept", "text/event-stream")
					time.AfterFunc(50*time.Millisecond, func() { w.signOut("session") })
					got, err := body()
					if err != nil || !strings.HasSuffix(got, "\n\n"+farewell) {
						t.Errorf("read %q, %v", got[:min(100, len(got))], err)
					}
					w.settled()
				})
			})
		}
	}
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

// A layer in front that hides the deadlines is reported at the first entry, once.
func TestHiddenDeadlinesAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	s := serve(t, opaque(w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Context().Done() }))), "plain")
	for range 2 {
		_, body := get(t, s, "session", http.MethodGet)
		if _, err := body(); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(w.log.String(), "hides SetWriteDeadline"); n != 1 {
		t.Errorf("%d times in %s", n, w.log)
	}
}

type readerFrom struct {
	http.ResponseWriter
	n      int64
	source io.Reader
}

func (w *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	l, ok := src.(*io.LimitedReader)
	if !ok {
		return 0, errors.New("not a LimitedReader")
	}
	w.source = l.R
	n, err := io.Copy(io.Discard, src)
	w.n += n
	return n, err
}
