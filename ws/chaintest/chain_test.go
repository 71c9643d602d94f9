package chaintest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

const opening = "GET /ws HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://app.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n"

func coderAlone(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		if _, _, err := c.Read(context.Background()); err != nil {
			return
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func chain(log *slog.Logger) (http.Handler, string) {
	sessions := must(session.New(session.Config{Log: log}))
	tokens := must(bearer.New(bearer.Config{Issuer: "https://id.example", Audience: "app", Keys: []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)}))
	auth := must(middleware.NewAuth(sessions, tokens))
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}}))
	headers := must(middleware.NewHeaders(middleware.HeadersConfig{}))
	registry := must(live.New(live.Config{Log: log, Limits: live.Limits{PerPrincipal: 10000, PerAddress: 10000}}))
	socket := must(ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Log: log, DangerouslyAllowPlaintext: true, Serve: func(_ context.Context, c *ws.Conn) error {
		for {
			if _, _, err := c.Read(); err != nil {
				return err
			}
		}
	}}))
	h := middleware.Chain(socket, middleware.AccessLog(log), headers.Handler, sessions.Handler)
	login := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			panic(err)
		}
	}))
	w := httptest.NewRecorder()
	login.ServeHTTP(w, httptest.NewRequest("POST", "https://app.example/login", nil))
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return h, cookie
}

var closing = []byte{0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xe8 ^ 2}

func once(t testing.TB, addr string, req []byte, r *bufio.Reader) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(req)
	r.Reset(conn)
	if line, err := r.ReadSlice('\n'); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("answered %q, %v", line, err)
	}
	for {
		if line, err := r.ReadSlice('\n'); err != nil || len(line) == 2 {
			break
		}
	}
	conn.Write(closing)
	io.Copy(io.Discard, r)
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measure(t testing.TB, h http.Handler, cookie string, n int) (time.Duration, float64, float64) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	req := []byte(opening + "\r\n")
	if cookie != "" {
		req = []byte(opening + "Cookie: " + cookie + "\r\n\r\n")
	}
	r := bufio.NewReader(nil)
	for range 200 {
		once(t, srv.Listener.Addr().String(), req, r)
	}
	runtime.GC()
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	c := cpu()
	for range n {
		once(t, srv.Listener.Addr().String(), req, r)
	}
	d := cpu() - c
	runtime.ReadMemStats(&b)
	return d / time.Duration(n), float64(b.Mallocs-a.Mallocs) / float64(n), float64(b.TotalAlloc-a.TotalAlloc) / float64(n)
}

func TestChain(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	jsonLog := slog.New(slog.NewJSONHandler(io.Discard, nil))
	hq, cq := chain(quiet)
	hj, cj := chain(jsonLog)
	if p := os.Getenv("PROF"); p != "" {
		f, _ := os.Create(p)
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
		measure(t, hj, cj, 20000)
		return
	}
	for range 3 {
		n := 3000
		d0, a0, b0 := measure(t, http.HandlerFunc(coderAlone), "", n)
		d1, a1, b1 := measure(t, hq, cq, n)
		d2, a2, b2 := measure(t, hj, cj, n)
		fmt.Printf("coder %v %.0f allocs %.0f B; quiet +%v +%.1f allocs +%.0f B; json +%v +%.1f allocs +%.0f B\n", d0, a0, b0, d1-d0, a1-a0, b1-b0, d2-d0, a2-a0, b2-b0)
	}
}
