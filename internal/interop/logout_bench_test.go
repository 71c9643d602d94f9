package interop

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// BenchmarkLogoutToCloseFrame opens 1,000 sockets of gorilla, of as many sessions, over TLS on
// loopback, and ends one session after the other. It reports the time from the call of Logout to
// the close frame that the client reads: the median and the 99th percentile. Package live has the
// same for package ws.
//
//	go test ./internal/interop -run '^$' -bench LogoutToCloseFrame -benchtime 5x
func BenchmarkLogoutToCloseFrame(b *testing.B) {
	for _, store := range []string{"memory", "memstore"} {
		b.Run(store, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				var of scs.Store
				if store == "memstore" {
					of = memstore.NewWithCleanupInterval(0)
				}
				took = append(took, logouts(b, of, 1000)...)
			}
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// logouts returns how long each took.
func logouts(b *testing.B, store scs.Store, n int) (took []time.Duration) {
	sessions, err := session.New(session.Config{Store: store, Log: quiet})
	must(b, err)
	registry, err := live.New(live.Config{Log: quiet})
	must(b, err)
	socket := registry.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = echoGorilla(false, w, r) }))
	s := httptest.NewTLSServer(auth(b, sessions).Handler(socket))
	defer s.Close()
	call := func(cookie string, fn func(r *http.Request) error) []*http.Cookie {
		r := httptest.NewRequest("POST", s.URL, nil)
		r.Header.Set("Origin", s.URL)
		r.Header.Set("Cookie", cookie)
		rec := httptest.NewRecorder()
		sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { must(b, fn(r)) })).ServeHTTP(rec, r)
		return rec.Result().Cookies()
	}
	cookies, ends := make([]string, n), make([]chan time.Time, n)
	for i := range n {
		c := call("", func(r *http.Request) error {
			return sessions.Login(r.Context(), session.Identity{Subject: fmt.Sprint("user ", i)})
		})[0]
		cookies[i] = c.Name + "=" + c.Value
		ends[i] = untilClosed(b, s, cookies[i])
	}
	for i := range n {
		var began time.Time
		call(cookies[i], func(r *http.Request) error {
			began = time.Now()
			return sessions.Logout(r.Context())
		})
		took = append(took, (<-ends[i]).Sub(began))
	}
	return took
}

// untilClosed opens a socket, and sends the time at which its client has read the close frame.
func untilClosed(b *testing.B, s *httptest.Server, cookie string) chan time.Time {
	d := websocket.Dialer{TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig}
	conn, _, err := d.DialContext(b.Context(), "wss"+s.URL[len("https"):], http.Header{"Cookie": {cookie}, "Origin": {s.URL}})
	must(b, err)
	ended := make(chan time.Time, 1)
	go func() {
		_, _, err := conn.ReadMessage()
		ended <- time.Now()
		if gorillaCode(err) != 3000 {
			b.Error(err)
		}
		_ = conn.Close()
	}()
	return ended
}
