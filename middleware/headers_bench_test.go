package middleware_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/securews/securews/middleware"
)

// mapWriter is a ResponseWriter that costs nothing itself.
type mapWriter struct{ header http.Header }

func (w *mapWriter) Header() http.Header         { return w.header }
func (w *mapWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *mapWriter) WriteHeader(int)             {}

// sharedSlices is the limit: the same headers by hand.
func sharedSlices() http.Handler {
	type field struct {
		name   string
		values []string
	}
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(strictPreset)) {
		fields = append(fields, field{http.CanonicalHeaderKey(name), []string{strictPreset[name]}})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		for i := range fields {
			header[fields[i].name] = fields[i].values
		}
	})
}

// BenchmarkHeaders stands beside the limit, in one run.
func BenchmarkHeaders(b *testing.B) {
	end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	page := middleware.CSP{Default: []string{"'self'"}}
	noncePage := middleware.CSP{Default: []string{"'self'"}, Connect: []string{"'self'", "wss://app.example"}, Nonce: true}
	for _, bm := range []struct {
		name string
		h    http.Handler
	}{
		{"limit", sharedSlices()},
		{"strict", mustHeaders(b, middleware.HeadersConfig{}).Handler(end)},
		{"inside another", middleware.Chain(end, new(middleware.Headers).Handler, new(middleware.Headers).Handler)},
		{"host", mustHeaders(b, middleware.HeadersConfig{CSP: page}).Handler(end)},
		{"nonce", mustHeaders(b, middleware.HeadersConfig{CSP: noncePage}).Handler(end)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			w, r := &mapWriter{http.Header{}}, overTLS("app.example")
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				bm.h.ServeHTTP(w, r)
			}
		})
	}
}

// The gates: none for a constant policy, two for one that names the host (the text
// and its slice).
func TestHeadersAllocations(t *testing.T) {
	end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		name string
		cfg  middleware.HeadersConfig
		most float64
	}{
		{"the strict preset", middleware.HeadersConfig{}, 0},
		{
			"a page that names its socket",
			middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}, Connect: []string{"'self'", "wss://app.example"}}},
			0,
		},
		{"a page that does not", middleware.HeadersConfig{CSP: middleware.CSP{Default: []string{"'self'"}}}, 2},
	} {
		h := mustHeaders(t, tt.cfg).Handler(end)
		w := &mapWriter{http.Header{}}
		for _, r := range []*http.Request{requestWith("GET", "/"), overTLS("app.example")} {
			if got := testing.AllocsPerRun(200, func() { clear(w.header); h.ServeHTTP(w, r) }); got > tt.most {
				t.Errorf("%s, TLS %v: %v allocations, want at most %v", tt.name, r.TLS != nil, got, tt.most)
			}
		}
	}
}

// HSTS costs no allocation, whether a Proxies outside, one of the configuration or none says
// that the request came over TLS, nor inside another Headers.
func TestHSTSAllocations(t *testing.T) {
	trusting, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	strict := new(middleware.Headers).Handler
	var found *http.Request // as the layers behind a Proxies see it
	trusting.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { found = r })).
		ServeHTTP(&mapWriter{http.Header{}}, forwarded(false, "X-Forwarded-Proto", "https"))
	for _, tt := range []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{
		{"behind a Proxies", strict(end), found},
		{
			"with a Proxies", mustHeaders(t, middleware.HeadersConfig{Proxies: trusting}).Handler(end),
			forwarded(false, "X-Forwarded-Proto", "https"),
		},
		{"inside another", strict(strict(end)), overTLS("app.example")},
		{"in plaintext", strict(end), forwarded(false)},
	} {
		w := &mapWriter{http.Header{}}
		if got := testing.AllocsPerRun(200, func() { clear(w.header); tt.h.ServeHTTP(w, tt.r) }); got > 0 {
			t.Errorf("%s: %v allocations", tt.name, got)
		}
	}
}
