package live

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// A problem in place of the handler's response has the header of the layers in front, as they
// left it, and none of the handler's.
func TestLateProblemHasTheHeaderOfTheLayersInFront(t *testing.T) {
	own := func(rw http.ResponseWriter) {
		h := rw.Header()
		h.Set("Set-Cookie", "a=secret")
		h.Set("Etag", `"1"`)
		h.Set("Last-Modified", "Sun, 29 Nov 2026 21:00:00 GMT")
		h.Set("Content-Encoding", "gzip")
		h.Set("Cache-Control", "public, max-age=60")
		h.Set("Expires", "Sun, 29 Nov 2026 22:00:00 GMT")
		h.Set("Location", "/next")
		h.Set("X-Total", "7")
		h.Add("Vary", "Accept")
		h.Set("Content-Security-Policy", "default-src *")
		h.Del("Strict-Transport-Security")
	}
	outer := map[string]string{
		"Strict-Transport-Security": "max-age=63072000", "Content-Security-Policy": "default-src 'none'", "X-Request-Id": "1",
		"Vary": "Origin", "Access-Control-Allow-Origin": "https://app.example", "X-Outer": "of a layer in front",
	}
	for _, test := range []struct {
		name    string
		accept  string
		limit   int
		status  int
		handler func(rw http.ResponseWriter, r *http.Request)
	}{
		{
			name: "the header is set before the entry", status: 401,
			handler: func(rw http.ResponseWriter, r *http.Request) { own(rw); <-r.Context().Done() },
		},
		{
			name: "the header is set after the entry", status: 401,
			handler: func(rw http.ResponseWriter, r *http.Request) { r.Context().Done(); own(rw); <-r.Context().Done() },
		},
		{
			name: "the header is set after the end", status: 401,
			handler: func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); own(rw) },
		},
		{
			name: "an event stream was accepted", accept: "text/event-stream",
			status: 401, handler: func(rw http.ResponseWriter, r *http.Request) { own(rw); <-r.Context().Done() },
		},
		{
			name: "a limit refuses the entry", limit: 1, status: 429,
			handler: func(rw http.ResponseWriter, r *http.Request) { own(rw); <-r.Context().Done() },
		},
		{name: "the header is never set", status: 401, handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{Limits: Limits{PerPrincipal: test.limit}}, func(t *testing.T, w *world) {
				if test.limit > 0 {
					defer w.join(ann).Leave(nil)
				}
				front := w.front(http.HandlerFunc(test.handler))
				r := request("session", http.MethodGet)
				r.Header.Set("Accept", test.accept)
				time.AfterFunc(time.Second, func() { w.signOut("session") })
				rec := answer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					for name, value := range outer {
						rw.Header().Set(name, value)
					}
					front.ServeHTTP(rw, r)
				}), r)
				if rec.Code != test.status {
					t.Errorf("%d, want %d", rec.Code, test.status)
				}
				got := rec.Result().Header
				for name, value := range outer {
					if fmt.Sprint(got[name]) != "["+value+"]" {
						t.Errorf("%s: %q, want %q", name, got[name], value)
					}
					delete(got, name)
				}
				for _, name := range []string{
					"Content-Type",
					"Cache-Control", "X-Content-Type-Options", "Www-Authenticate", "Retry-After",
				} {
					delete(got, name) // of the problem
				}
				if len(got) > 0 {
					t.Errorf("the handler's header is on the problem: %v", got)
				}
				if rec.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("Cache-Control: %q", rec.Header()["Cache-Control"])
				}
			})
		})
	}
}
