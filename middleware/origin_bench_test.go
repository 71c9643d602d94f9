package middleware_test

import (
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// originRows are requests as BenchmarkOrigin has them; refused ones are answered, too.
var originRows = []struct {
	name, reason string
	request      *http.Request
	allocs       float64
	bytes        uint64
}{
	{name: "exact", request: handshakeFrom("https://app.example"), allocs: 0, bytes: 0},
	{name: "wildcard", request: handshakeFrom("https://a.b.wild.example"), allocs: 0, bytes: 0},
	{name: "exact, same-origin", request: withFetchSite(handshakeFrom("https://app.example"), "same-origin"), allocs: 0, bytes: 0},
	{
		name: "wildcard, same-site", request: withFetchSite(handshakeTo("x.wild.example", "https://a.b.wild.example"), "same-site"),
		allocs: 0, bytes: 0,
	},
	{name: "not on the list", reason: "origin_not_allowed", request: handshakeFrom("https://evil.example"), allocs: 1, bytes: 96},
	{
		name: "not on the list, a long name", reason: "origin_not_allowed",
		request: handshakeFrom("https://a.very.long.name.of.an.attacker.evil.example:8443"), allocs: 1, bytes: 96,
	},
	{name: "null", reason: "origin_not_allowed", request: handshakeFrom("null"), allocs: 1, bytes: 96},
	{name: "a path", reason: "origin_malformed", request: handshakeFrom("https://app.example/"), allocs: 1, bytes: 96},
	{name: "a port", reason: "origin_malformed", request: handshakeFrom("https://app.example:0443"), allocs: 1, bytes: 96},
	{name: "too long", reason: "origin_malformed", request: handshakeFrom("https://" + string(make([]byte, 400))), allocs: 1, bytes: 96},
	{name: "missing", reason: "origin_missing", request: handshakeFrom(), allocs: 0, bytes: 0},
	{name: "two", reason: "origin_malformed", request: handshakeFrom("https://app.example", "https://evil.example"), allocs: 1, bytes: 96},
	{
		name: "cross-site", reason: "fetch_metadata", request: withFetchSite(handshakeFrom("https://app.example"), "cross-site"),
		allocs: 2, bytes: 176,
	},
}

// gate does the work of a layer: check, and answer a refusal.
func gate(p *middleware.OriginPolicy, r *http.Request) func() {
	w := &idleWriter{header: http.Header{}}
	return func() {
		clear(w.header)
		if err := p.Check(r); err != nil {
			middleware.Refuse(w, r, err)
		}
	}
}

// BenchmarkOrigin stands beside a map lookup, the limit, in one run.
func BenchmarkOrigin(b *testing.B) {
	p := originPolicy(b, middleware.OriginConfig{Allow: listed, DangerouslyAllowLocalHTTP: true})
	b.Run("limit", func(b *testing.B) {
		list := map[string]bool{}
		for _, o := range listed {
			list[o] = true
		}
		r := handshakeFrom("https://app.example")
		b.ReportAllocs()
		for b.Loop() {
			_ = list[r.Header["Origin"][0]]
		}
	})
	for _, row := range originRows {
		b.Run(row.name, func(b *testing.B) {
			call := gate(p, row.request)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// The allocations of a decision, its answer included.
func TestOriginAllocations(t *testing.T) {
	if racing {
		t.Skip()
	}
	p := originPolicy(t, middleware.OriginConfig{Allow: listed, DangerouslyAllowLocalHTTP: true})
	for _, row := range originRows {
		guardAnswer(t, p.Check(row.request), 403, row.reason)
		call := gate(p, row.request)
		if got := testing.AllocsPerRun(100, call); got > row.allocs {
			t.Errorf("%s: %v allocations, want at most %v", row.name, got, row.allocs)
		}
		if got := bytesPerRun(call); got > row.bytes {
			t.Errorf("%s: %d bytes, want at most %d", row.name, got, row.bytes)
		}
	}
}

// bytesPerRun returns the bytes that call allocates: the least of several rounds, since
// other goroutines of the process may allocate meanwhile.
func bytesPerRun(call func()) uint64 {
	const rounds, runs = 5, 200
	least := uint64(math.MaxUint64)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			call()
		}
		runtime.ReadMemStats(&after)
		least = min(least, (after.TotalAlloc-before.TotalAlloc)/runs)
	}
	return least
}

// The cause in the log names the value found, quoted and cut, and the field that would change
// the decision (ASVS 16.3.2, 16.4.1).
func TestOriginCauseInTheLog(t *testing.T) {
	t.Parallel()
	p := originPolicy(t, middleware.OriginConfig{Allow: listed, DangerouslyAllowLocalHTTP: true})
	for _, tt := range []struct {
		request *http.Request
		cause   string
	}{
		{handshakeFrom("https://evil.example"), `OriginPolicy: Origin "https://evil.example": it is not in OriginConfig.Allow`},
		{handshakeFrom(), "OriginPolicy: no Origin: browsers send one; OriginConfig.AllowMissing admits native clients"},
		{handshakeFrom("a\nb"), `OriginPolicy: Origin "a\nb": it does not begin with a scheme and ://`},
		{
			handshakeFrom("https://" + strings.Repeat("a", 5000)),
			`Origin "https://` + strings.Repeat("a", 292) + `": it is longer than 300 bytes`,
		},
		{handshakeFrom("null"), `Origin "null": it is a sandboxed frame, a local file, or a redirect across sites, ` +
			`which OriginConfig.Allow cannot name`},
		{handshakeFrom("https://a b"), `Origin "https://a b": ' ' stands in the host`},
		{handshakeFrom("https://[::1]x"), `Origin "https://[::1]x": 'x' stands behind the brackets`},
		{handshakeFrom("https://app.example", "x"), `Origin "https://app.example": it is one of several Origin headers (RFC 6454 §7.3)`},
		{
			withFetchSite(handshakeTo("app.example:81", "https://app.example"), "cross-site"),
			`Sec-Fetch-Site "cross-site": it disagrees with Origin "https://app.example" at the Host "app.example:81": let the proxy in ` +
				`front pass on Origin and Host as they came, or name the Host by ProxiesConfig.HostHeader`,
		},
		{
			withFetchSite(handshakeTo("a b", "https://app.example"), "cross-site"),
			`Sec-Fetch-Site "cross-site": it cannot be compared with Host "a b": ' ' stands in the host`,
		},
		{
			withFetchSite(handshakeFrom("https://app.example"), "none", "none"),
			`Sec-Fetch-Site "none": it is one of several Sec-Fetch-Site headers`,
		},
	} {
		lines := logged(t, http.NotFoundHandler(), tt.request, p.Handler)
		if cause, _ := lines[0]["cause"].(string); !strings.Contains(cause, tt.cause) || len(cause) > 500 {
			t.Errorf("%q, want %q", cause, tt.cause)
		}
	}
}
