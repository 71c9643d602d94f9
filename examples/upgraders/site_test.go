package main

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// A route that is bound ends with the session that opened it, and its reason is told.
func TestBoundRouteEndsAtLogout(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "TLS", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, session.Config{}, live.Config{}, func(s *site) {
				s.bind("GET /events", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(rw, "data: begun\n\n")
					_ = http.NewResponseController(rw).Flush()
					<-r.Context().Done()
				}))
			})
			cookie := w.login("ann")
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/events", nil)
			r.Header.Set("Cookie", cookie)
			resp, err := w.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body := bufio.NewReader(resp.Body)
			if line, err := body.ReadString('\n'); line != "data: begun\n" {
				t.Fatal(line, err, resp.Status)
			}
			w.logout(cookie)
			const want = "\nevent: end\ndata: {\"code\":3000,\"reason\":\"revoked\"}\n\n"
			if rest, err := io.ReadAll(body); string(rest) != want || err != nil {
				t.Errorf("read %q, %v", rest, err)
			}
			w.settled("ann")
		})
	}
}
