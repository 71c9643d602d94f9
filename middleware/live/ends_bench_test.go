package live_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// BenchmarkLogoutToCloseFrame opens 1,000 sockets of as many sessions over TLS on loopback, and
// ends one session after the other. It reports the time from the call of Logout to the close frame
// that the client reads: the median and the 99th percentile. Each iteration is all of that:
//
//	go test ./middleware/live -run '^$' -bench LogoutToCloseFrame -benchtime 5x
func BenchmarkLogoutToCloseFrame(b *testing.B) {
	for _, store := range []string{"memory", "memstore"} {
		for _, library := range []string{"ws", "another library"} {
			b.Run(store+"/"+library, func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					var of scs.Store
					if store == "memstore" {
						of = memstore.NewWithCleanupInterval(0)
					}
					took = append(took, logouts(b, of, library, 1000)...)
				}
				slices.Sort(took)
				for _, p := range []int{50, 99} {
					b.ReportMetric(float64(took[len(took)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// logouts returns how long each took.
func logouts(b *testing.B, store scs.Store, library string, n int) (took []time.Duration) {
	s := newSocketSite(b, store, library)
	defer s.Close()
	begun := make(chan time.Time, 1)
	ends := make([]chan time.Time, n)
	logout := s.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- time.Now()
		if err := s.sessions.Logout(r.Context()); err != nil {
			b.Error(err)
		}
	}))
	cookies := make([]string, n)
	for i := range n {
		cookies[i] = s.signIn(fmt.Sprint("user ", i))
		ends[i] = s.open(b, cookies[i])
	}
	for i := range n {
		r := httptest.NewRequest("POST", s.URL, nil)
		r.Header.Set("Cookie", cookies[i])
		logout.ServeHTTP(httptest.NewRecorder(), r)
		took = append(took, (<-ends[i]).Sub(<-begun))
	}
	return took
}

// socketSite has sessions and sockets that say nothing.
type socketSite struct {
	*httptest.Server
	sessions *session.Manager
	signIn   func(user string) (cookie string)
}

func newSocketSite(b *testing.B, store scs.Store, library string) *socketSite {
	log := slog.New(slog.DiscardHandler)
	s := &socketSite{Server: httptest.NewUnstartedServer(nil)}
	certificate, err := newCertificate()
	must(b, err)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}} //nolint:gosec // a benchmark
	s.StartTLS()
	s.sessions, err = session.New(session.Config{Store: store, Log: log})
	must(b, err)
	auth, err := middleware.NewAuth(s.sessions)
	must(b, err)
	registry, err := live.New(live.Config{Log: log})
	must(b, err)
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{s.URL}})
	must(b, err)
	s.Config.Handler, err = ws.New(ws.Config{
		Origins: origins, Auth: auth, Live: registry, Log: log,
		Serve: func(_ context.Context, c *ws.Conn) error { return c.PushOnly() },
	})
	must(b, err)
	if library != "ws" {
		s.Config.Handler = origins.Handler(auth.Handler(registry.Handler(http.HandlerFunc(readWire))))
	}
	login := s.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		must(b, s.sessions.Login(r.Context(), session.Identity{Subject: r.URL.RawQuery}))
	}))
	s.signIn = func(user string) string {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("POST", s.URL, nil)
		r.URL.RawQuery = user
		login.ServeHTTP(rec, r)
		c := rec.Result().Cookies()[0]
		return c.Name + "=" + c.Value
	}
	return s
}

func readWire(w http.ResponseWriter, r *http.Request) {
	conn, err := live.UpgradeWire(w, r)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	for err == nil {
		_, _, err = conn.Receive()
	}
}

// open returns when the client has read the close frame.
func (s *socketSite) open(b *testing.B, cookie string) chan time.Time {
	cfg := s.Client().Transport.(*http.Transport).TLSClientConfig
	conn, res, err := live.DialWire(b.Context(), cfg, s.URL+"/", http.Header{"Cookie": {cookie}, "Origin": {s.URL}})
	must(b, err)
	if conn == nil {
		b.Fatal(res.Status)
	}
	ended := make(chan time.Time, 1)
	go func() {
		_, _, err := conn.Receive()
		ended <- time.Now()
		if f, ok := errors.AsType[*live.WireClosed](err); !ok || f.Code != 3000 {
			b.Error(err)
		}
		_ = conn.SendClose(3000, "")
		_ = conn.Close()
	}()
	return ended
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
