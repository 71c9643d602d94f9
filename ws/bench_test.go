package ws_test

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
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// The gates of this file count allocations and bytes, which repeat; times are left to
// the benchmarks.

func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func skipUnderRace(t *testing.T) {
	t.Helper()
	if underRace() {
		t.Skip("the race detector allocates, and empties pools")
	}
}

// ours is as quick as the authenticators of this module, which bound themselves.
type ours struct{ bounded.Self }

func (ours) Ambient() bool { return false }

func (ours) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-User")
	return middleware.Principal{
		Issuer: "https://id.example", Subject: name, SessionHandle: "session-" + name, TokenHandle: "token-" + name,
		Method: "session", Expires: time.Now().Add(12 * time.Hour),
	}, nil
}

// guarded is a handler with everything that a connection can be held to, and its log.
func guarded(t testing.TB, log slog.Handler, cfg ws.Config) *ws.Handler {
	t.Helper()
	cfg.Log, cfg.DangerouslyAllowPlaintext = slog.New(log), true
	cfg.Limits = ws.Limits{MessagesPerSecond: 1e9, MessageBurst: 1e9, ControlPerSecond: 1e6}
	cfg.Auth = auth(t, middleware.WithRevocations(ours{}, middleware.NewRevocations()))
	return handler(t, cfg)
}

// coderAlone is the same echo without any of it.
func coderAlone(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, p, err := c.Read(context.Background())
		if err != nil {
			return
		}
		if err := c.Write(context.Background(), typ, p); err != nil {
			return
		}
	}
}

// wire is a client that allocates nothing once it is connected.
type wire struct {
	net.Conn
	frame  []byte
	answer []byte
}

func dialWire(t testing.TB, addr net.Addr, size int) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	c := upgraded(t, conn, "X-User: ann")
	w := &wire{Conn: c.Conn, frame: masked(0x82, string(make([]byte, size)))}
	w.answer = make([]byte, len(w.frame)-4)
	return w
}

func (w *wire) echo(t testing.TB) {
	if _, err := w.Write(w.frame); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(w.Conn, w.answer); err != nil {
		t.Fatal(err)
	}
}

var echoSizes = []int{125, 4096}

func BenchmarkEcho(b *testing.B) {
	for _, size := range echoSizes {
		for name, h := range map[string]http.Handler{
			"securews": guarded(b, slog.DiscardHandler, ws.Config{}),
			"coder":    http.HandlerFunc(coderAlone),
		} {
			b.Run(fmt.Sprintf("%dB/%s", size, name), func(b *testing.B) {
				srv := httptest.NewServer(h)
				defer srv.Close()
				w := dialWire(b, srv.Listener.Addr(), size)
				defer w.Close()
				w.echo(b)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					w.echo(b)
				}
			})
		}
	}
}

// Echo: 0 allocations a message at both sizes.
func TestEchoAllocatesNothing(t *testing.T) {
	skipUnderRace(t)
	for _, size := range echoSizes {
		t.Run(fmt.Sprint(size, " B"), func(t *testing.T) {
			srv := httptest.NewServer(guarded(t, slog.DiscardHandler, ws.Config{}))
			defer srv.Close()
			w := dialWire(t, srv.Listener.Addr(), size)
			defer w.Close()
			if n := testing.AllocsPerRun(2000, func() { w.echo(t) }); n != 0 {
				t.Errorf("%v allocations a message", n)
			}
		})
	}
}

// A queued message costs nothing for its bytes.
func BenchmarkSend(b *testing.B) {
	for _, size := range sendSizes {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			srv := httptest.NewServer(guarded(b, slog.DiscardHandler, ws.Config{Serve: echoBySend}))
			defer srv.Close()
			w := dialWire(b, srv.Listener.Addr(), size)
			defer w.Close()
			b.ReportAllocs()
			for b.Loop() {
				w.echo(b)
			}
		})
	}
}

var sendSizes = []int{125, 4096, 64 << 10}

func echoBySend(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Send(typ, p); err != nil {
			return err
		}
	}
}

// Send: at most 1 allocation a message, whatever its size.
func TestSendAllocatesLittle(t *testing.T) {
	skipUnderRace(t)
	for _, size := range sendSizes {
		t.Run(fmt.Sprint(size, " B"), func(t *testing.T) {
			srv := httptest.NewServer(guarded(t, slog.DiscardHandler, ws.Config{Serve: echoBySend}))
			defer srv.Close()
			w := dialWire(t, srv.Listener.Addr(), size)
			defer w.Close()
			n := testing.AllocsPerRun(2000, func() { w.echo(t) })
			t.Logf("%v allocations a message", n)
			if n > 1 {
				t.Errorf("%v allocations a message, want at most 1", n)
			}
		})
	}
}

// Heartbeat: no allocation for a ping and its answer.
func TestHeartbeatAllocatesNothing(t *testing.T) {
	skipUnderRace(t)
	const count = 50
	srv := httptest.NewServer(guarded(t, slog.DiscardHandler, ws.Config{
		Timeouts: ws.Timeouts{Heartbeat: time.Millisecond, Pong: time.Minute}, // a busy machine answers late
	}))
	defer srv.Close()
	var conns []net.Conn
	for range count {
		w := dialWire(t, srv.Listener.Addr(), 0)
		defer w.Close()
		conns = append(conns, w.Conn)
	}
	ping, pong := make([]byte, 2), masked(0x8a, "")
	beat := func() { // one of each connection: the wheel pings at every tick
		for _, c := range conns {
			if _, err := io.ReadFull(c, ping); err != nil || ping[0] != 0x89 || ping[1] != 0 {
				t.Fatalf("% x, %v", ping, err)
			}
			if _, err := c.Write(pong); err != nil {
				t.Fatal(err)
			}
		}
	}
	each := testing.AllocsPerRun(8, beat) / count
	t.Logf("%v allocations a heartbeat", each)
	if each >= 0.05 {
		t.Errorf("%v allocations a heartbeat, want none", each)
	}
}

var (
	benchOpening = []byte(edited("X-User: ann"))
	benchClose   = closing(1000, "")
)

func dialTCP(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// handshakeOnce opens, closes, and waits for the server to close.
func handshakeOnce(t testing.TB, addr string, r *bufio.Reader, opening []byte) {
	conn := dialTCP(t, addr)
	defer conn.Close()
	if _, err := conn.Write(opening); err != nil {
		t.Fatal(err)
	}
	r.Reset(conn)
	if line, err := r.ReadSlice('\n'); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("answered %q, %v", line, err)
	}
	for {
		if line, err := r.ReadSlice('\n'); err != nil || len(line) == 2 {
			break
		}
	}
	if _, err := conn.Write(benchClose); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r)
}

func BenchmarkHandshake(b *testing.B) {
	for _, way := range []struct {
		name string
		h    http.Handler
	}{
		{"coder", http.HandlerFunc(coderAlone)},
		{"securews", guarded(b, slog.DiscardHandler, ws.Config{})},
		{"securews with its log", guarded(b, slog.NewJSONHandler(io.Discard, nil), ws.Config{})},
	} {
		b.Run(way.name, func(b *testing.B) {
			srv := httptest.NewServer(way.h)
			defer srv.Close()
			r := bufio.NewReader(nil)
			b.ReportAllocs()
			for b.Loop() {
				handshakeOnce(b, srv.Listener.Addr().String(), r, benchOpening)
			}
		})
	}
}

// handshakeAllocs counts the allocations of a handshake and its end, both sides and
// the dial included, which is the same for every handler. No collection empties pools meanwhile.
func handshakeAllocs(t *testing.T, h http.Handler, opening []byte) float64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	srv := httptest.NewServer(h)
	defer srv.Close()
	other := dialTCP(t, srv.Listener.Addr().String()) // a server has more than one connection
	defer other.Close()
	if _, err := other.Write(opening); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nil)
	fewest := 0.0
	for run := range 3 { // the runtime allocates for itself at times
		n := testing.AllocsPerRun(500, func() { handshakeOnce(t, srv.Listener.Addr().String(), r, opening) })
		if run == 0 || n < fewest {
			fewest = n
		}
	}
	return fewest
}

// Handshake: at most 20 allocations over coder alone, 30 with two lines logged.
func TestHandshakeAllocatesLittleMoreThanCoder(t *testing.T) {
	skipUnderRace(t)
	alone, ours := handshakeAllocs(t, http.HandlerFunc(coderAlone), benchOpening),
		handshakeAllocs(t, guarded(t, slog.DiscardHandler, ws.Config{}), benchOpening)
	logged := handshakeAllocs(t, guarded(t, slog.NewJSONHandler(io.Discard, nil), ws.Config{}), benchOpening)
	t.Logf("coder alone %v, guarded %v (%+v, %.2fx), with two lines logged %v", alone, ours, ours-alone, ours/alone, logged)
	if ours-alone > 20 || logged-alone > 30 {
		t.Errorf("%v allocations over coder alone, %v with two lines logged; want at most 20 and 30", ours-alone, logged-alone)
	}
}

const idleClients = "SECUREWS_TEST_IDLE_CLIENTS" // address, "tls" or "plain", and number
