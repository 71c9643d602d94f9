package ws_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// ed25519Keys is a key set that verifies nothing here.
const ed25519Keys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","use":"sig",` +
	`"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// chain is the whole chain of docs/quickstart.md with its log, and the opening of a signed-in page.
func chain(t testing.TB, log *slog.Logger) (h http.Handler, opening []byte) {
	t.Helper()
	sessions := must(session.New(session.Config{Log: log}))
	tokens := must(bearer.New(bearer.Config{
		Issuer:   "https://id.example",
		Audience: []string{"app"}, Keys: []byte(ed25519Keys), Sessions: sessions,
	}))
	headers := must(middleware.NewHeaders(middleware.HeadersConfig{}))
	socket := handler(t, ws.Config{
		Auth: auth(t, sessions, tokens), Log: log, DangerouslyAllowPlaintext: true,
		Live: registry(t, live.Config{Log: log}),
	})
	login := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			t.Error(err)
		}
	}))
	w := httptest.NewRecorder()
	login.ServeHTTP(w, httptest.NewRequest("POST", "https://app.example/login", nil))
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	h = middleware.Chain(socket, middleware.AccessLog(log), middleware.Recover(log), headers.Handler, sessions.Handler)
	return h, []byte(edited("Cookie: " + cookie))
}

// The bars of the whole chain over coder alone, for a handshake and its end. A pool that a
// collection has emptied meanwhile costs up to two more than is measured.
const (
	chainAllocs       = 24 // without log lines; 22 measured, and the aim is 20
	loggedChainAllocs = 27 // with two lines of JSON; 25 measured
)

func TestWholeChainAllocatesLittleMoreThanCoder(t *testing.T) {
	skipUnderRace(t)
	alone := handshakeAllocs(t, http.HandlerFunc(coderAlone), benchOpening)
	for _, tt := range []struct {
		sentence string
		handler  slog.Handler
		most     float64
	}{
		{"without log lines", slog.DiscardHandler, chainAllocs},
		{"with two lines of JSON", slog.NewJSONHandler(io.Discard, nil), loggedChainAllocs},
	} {
		h, opening := chain(t, slog.New(tt.handler))
		n := handshakeAllocs(t, h, opening) - alone
		t.Logf("%s: coder and %v", tt.sentence, n)
		if n > tt.most {
			t.Errorf("%s: %v allocations over coder alone, want at most %v", tt.sentence, n, tt.most)
		}
	}
}

// BenchmarkChain prints the CPU time of a handshake and its end through the whole chain,
// interleaved with coder alone, both sides included:
//
//	GOMAXPROCS=1 go test ./ws -run xxx -bench Chain -benchtime 2000x -count 5
func BenchmarkChain(b *testing.B) {
	quiet, quietOpening := chain(b, slog.New(slog.DiscardHandler))
	logged, loggedOpening := chain(b, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	for _, way := range []struct {
		name    string
		h       http.Handler
		opening []byte
	}{
		{"coder", http.HandlerFunc(coderAlone), benchOpening},
		{"chain", quiet, quietOpening},
		{"chain with its log", logged, loggedOpening},
	} {
		b.Run(way.name, func(b *testing.B) {
			srv := httptest.NewServer(way.h)
			defer srv.Close()
			r := bufio.NewReader(nil)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				handshakeOnce(b, srv.Listener.Addr().String(), r, way.opening)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Skip(fmt.Sprint("getrusage: ", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// nowhere is a ResponseWriter that keeps only its header.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w *nowhere) WriteHeader(int)             {}

// refusedOrigin is the path that an attacker chooses: a handshake of a foreign page.
func refusedOrigin(t testing.TB) (ask func()) {
	h := handler(t, ws.Config{Auth: auth(t, middleware.Anonymous()), Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequest("GET", "https://app.example/ws", nil)
	for name, value := range map[string]string{
		"Origin": "https://evil.example", "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header[name] = []string{value}
	}
	w := &nowhere{http.Header{}}
	return func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkRefusedOrigin(b *testing.B) {
	ask := refusedOrigin(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// A refused origin costs the whole handler, its access log included, at most four
// allocations: an attacker chooses this path.
func TestRefusedOriginAllocatesLittle(t *testing.T) {
	skipUnderRace(t)
	if n := testing.AllocsPerRun(1000, refusedOrigin(t)); n > 4 {
		t.Errorf("%v allocations, want at most 4", n)
	}
}
