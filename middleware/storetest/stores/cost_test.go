package stores

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

// The figures of the documentation of package session. The calls that each request makes are
// tested in middleware/storetest.
//
//	go test -run xxx -bench . -count 5

// costs runs the benchmark of a store of each kind.
func costs(b *testing.B, bench func(b *testing.B, s scs.Store)) {
	b.Run("memory", func(b *testing.B) { bench(b, nil) })
	b.Run("memstore", func(b *testing.B) { bench(b, memstore.NewWithCleanupInterval(0)) })
	for name, address := range addresses(b) {
		b.Run(name, func(b *testing.B) { bench(b, mustOpen(b, address(b))) })
	}
}

// signedIn returns a Manager on the store, and the cookie of a user.
func signedIn(b *testing.B, s scs.Store) (m *session.Manager, cookie string) {
	b.Helper()
	m, err := session.New(session.Config{Store: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), session.Identity{Subject: "alice", Scopes: []string{"chat"}}); err != nil {
			b.Error(err)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://app.example/login", nil))
	c := w.Result().Cookies()
	if len(c) != 1 {
		b.Fatal("no cookie")
	}
	return m, c[0].Name + "=" + c[0].Value
}

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w nowhere) WriteHeader(int)             {}

// BenchmarkRead is one request that reads its session and authenticates.
func BenchmarkRead(b *testing.B) {
	costs(b, func(b *testing.B, s scs.Store) {
		m, cookie := signedIn(b, s)
		h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := m.Authenticate(r); err != nil {
				b.Error(err)
			}
		}))
		r := httptest.NewRequest(http.MethodGet, "https://app.example/", nil)
		r.Header.Set("Cookie", cookie)
		w := nowhere{http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	})
}

// BenchmarkHandshake is one handshake of the whole chain and its end, over a connection of its
// own without TLS; the client is included.
func BenchmarkHandshake(b *testing.B) {
	costs(b, func(b *testing.B, s scs.Store) {
		m, cookie := signedIn(b, s)
		srv := httptest.NewServer(chain(b, m))
		defer srv.Close()
		opening := fmt.Sprintf("GET /ws HTTP/1.1\r\nHost: app.example\r\nOrigin: https://app.example\r\nCookie: %s\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			cookie)
		r := bufio.NewReader(nil)
		b.ReportAllocs()
		for b.Loop() {
			handshake(b, srv.Listener.Addr().String(), r, []byte(opening))
		}
	})
}

func chain(b *testing.B, m *session.Manager) http.Handler {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	auth, err := middleware.NewAuth(m)
	if err != nil {
		b.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		b.Fatal(err)
	}
	headers, err := middleware.NewHeaders(middleware.HeadersConfig{})
	if err != nil {
		b.Fatal(err)
	}
	registry, err := live.New(live.Config{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	socket, err := ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Log: log, DangerouslyAllowPlaintext: true, Serve: echo})
	if err != nil {
		b.Fatal(err)
	}
	return middleware.Chain(socket, middleware.AccessLog(log), middleware.Recover(log), headers.Handler, m.Handler)
}

var closeFrame = []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8} // masked with zeros, code 1000 (RFC 6455 §5.2)

// handshake opens a connection and has the server close it.
func handshake(b *testing.B, addr string, r *bufio.Reader, opening []byte) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(opening); err != nil {
		b.Fatal(err)
	}
	r.Reset(conn)
	if line, err := r.ReadSlice('\n'); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 101 ")) {
		b.Fatalf("answered %q: %v", line, err)
	}
	for {
		if line, err := r.ReadSlice('\n'); err != nil || len(line) == 2 {
			break
		}
	}
	if _, err := conn.Write(closeFrame); err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r)
}
