package middleware_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
)

// idleWriter is a ResponseWriter that keeps nothing, so that a benchmark counts the
// allocations of the layers alone.
type idleWriter struct{ header http.Header }

func (w *idleWriter) Header() http.Header         { return w.header }
func (w *idleWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *idleWriter) WriteHeader(int)             {}

// serving returns a call of h whose ResponseWriter begins without a header.
func serving(h http.Handler, r *http.Request) func() {
	w := &idleWriter{header: http.Header{}}
	return func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func browserHandshake(origin string) *http.Request {
	r := requestWith("GET", "https://app.example/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Origin", origin, "X-Bearer", "ann")
	r.RemoteAddr = "192.0.2.1:41234"
	return r
}

func accessLogCases(t testing.TB) map[string]struct{ with, without func() } {
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"})
	switching := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) })
	refusal := &middleware.Refusal{Status: 403, Reason: middleware.ReasonOriginNotAllowed, Err: errors.New("cause")}
	refusing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { middleware.Refuse(w, r, refusal) })
	json := middleware.AccessLog(slog.New(slog.NewJSONHandler(io.Discard, nil)))
	off := middleware.AccessLog(slog.New(slog.DiscardHandler))
	cases := map[string]struct{ with, without func() }{}
	for name, h := range map[string]http.Handler{"handshake": switching, "authenticated": auth.Handler(switching), "refused": refusing} {
		r := browserHandshake("https://app.example")
		cases[name+", JSON"] = struct{ with, without func() }{serving(json(h), r), serving(h, r)}
		cases[name+", off"] = struct{ with, without func() }{serving(off(h), r), serving(h, r)}
	}
	return cases
}

func BenchmarkAccessLog(b *testing.B) {
	for name, bm := range accessLogCases(b) {
		b.Run(name+"/with", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.with()
			}
		})
		b.Run(name+"/without", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.without()
			}
		})
	}
}

// What AccessLog adds to a handshake, its JSON line included.
func TestAccessLogAllocations(t *testing.T) {
	if racing {
		t.Skip()
	}
	most := map[string]float64{
		"handshake, JSON": 6, "authenticated, JSON": 6, "refused, JSON": 6,
		"handshake, off": 4, "authenticated, off": 4, "refused, off": 4,
	}
	for name, c := range accessLogCases(t) {
		with, without := testing.AllocsPerRun(500, c.with), testing.AllocsPerRun(500, c.without)
		t.Logf("%s: %v", name, with-without)
		if with-without > most[name] {
			t.Errorf("%s: %v allocations, want at most %v", name, with-without, most[name])
		}
	}
}
