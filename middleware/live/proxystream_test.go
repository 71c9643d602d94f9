package live

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// httputil.ReverseProxy panics with http.ErrAbortHandler if the context ends within a body. An
// event stream is complete then, with its last event; another body is aborted, unless it is of
// its Content-Length.
func TestReverseProxyEndsABody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		header http.Header // of the backend
		want   string
		whole  bool
	}{
		{"an event stream", http.Header{"Content-Type": {"text/event-stream"}}, "data: 1\n\n" + farewell, true},
		{
			"an encoded event stream",
			http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": {"x-test"}},
			"data: 1\n\n", false,
		},
		{"a body of an unknown length", nil, "data: 1\n\n", false},
		{"a body of a longer Content-Length", http.Header{"Content-Length": {"10"}}, "data: 1\n\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bothHTTP(t, patience, func(t *testing.T, w *world, kind string) {
				backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					for name, values := range test.header {
						rw.Header()[name] = values
					}
					_, _ = io.WriteString(rw, "data: 1\n\n")
					_ = http.NewResponseController(rw).Flush()
					<-r.Context().Done()
				}))
				defer backend.Close()
				to, _ := url.Parse(backend.URL)
				proxy := &httputil.ReverseProxy{
					Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
					FlushInterval: -1, // of the bodies that are not event streams
					ErrorLog:      log.New(io.Discard, "", 0),
				}
				s := serve(t, w.front(proxy), kind)
				res, body := get(t, s, "session", http.MethodGet)
				if res == nil {
					t.Fatal(body())
				}
				first := make([]byte, len("data: 1\n\n"))
				if _, err := io.ReadFull(res.Body, first); err != nil {
					t.Fatal(err)
				}
				w.signOut("session")
				rest, err := body()
				if got := string(first) + rest; got != test.want || (err == nil) != test.whole {
					t.Errorf("%q, %v; want %q, complete: %v", got, err, test.want, test.whole)
				}
				w.settled()
			})
		})
	}
}

// Only http.ErrAbortHandler counts as the return of the handler, and only after the end.
func TestPanicsOfTheHandlerGoOn(t *testing.T) {
	for _, test := range []struct {
		name  string
		value any
		end   bool // the credential ends before
		goes  bool
	}{
		{"http.ErrAbortHandler before the end", http.ErrAbortHandler, false, true},
		{"http.ErrAbortHandler after the end", http.ErrAbortHandler, true, false},
		{"another panic before the end", "test", false, true},
		{"another panic after the end", "test", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					beginEvents(rw)
					if test.end {
						w.signOut("session")
						<-r.Context().Done()
					}
					panic(test.value)
				}))
				rec := httptest.NewRecorder()
				var passed any
				func() {
					defer func() { passed = recover() }()
					h.ServeHTTP(rec, request("session", http.MethodGet))
				}()
				if goes := passed != nil; goes != test.goes || goes && passed != test.value {
					t.Errorf("panic %v, want one: %v", passed, test.goes)
				}
				if !test.goes && !strings.HasSuffix(rec.Body.String(), farewell) {
					t.Errorf("the body is %q", rec.Body)
				}
			})
		})
	}
}
