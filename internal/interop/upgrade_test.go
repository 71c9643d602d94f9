package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// socket is a handler that echoes.
func socket(t *testing.T, cfg ws.Config) *ws.Handler {
	t.Helper()
	cfg.Origins = origins(t, wstest.URL)
	registry, err := live.New(live.Config{Log: quiet})
	must(t, err)
	cfg.Live = registry
	cfg.Serve = func(_ context.Context, c *ws.Conn) error {
		for {
			typ, p, err := c.Read()
			if err != nil {
				return err
			}
			if err := c.Write(typ, p); err != nil {
				return err
			}
		}
	}
	h, err := ws.New(cfg)
	must(t, err)
	return h
}

// dialTLS is a TLS connection to a server of the handler.
func dialTLS(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	srv := wstest.Start(t, &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}) //nolint:gosec // a test
	raw, err := srv.Listener.Dial(t.Context())
	must(t, err)
	cfg := srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.ServerName, cfg.NextProtos = "app.example", []string{"http/1.1"}
	conn := tls.Client(raw, cfg)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// opening is the handshake of RFC 6455 §1.3.
var opening = strings.Join([]string{
	"GET /ws HTTP/1.1",
	"Host: app.example",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Origin: https://app.example",
	"Sec-WebSocket-Version: 13",
}, "\r\n") + "\r\n\r\n"

// The handler upgrades behind chi and its middleware. The first message comes behind the
// opening, before the client has read the 101.
func TestUpgradesBehindChi(t *testing.T) {
	t.Parallel()
	h := socket(t, ws.Config{Auth: auth(t, middleware.Anonymous()), Log: quiet})
	r := chi.NewRouter()
	r.Use(
		chimiddleware.RequestID, chimiddleware.Recoverer, chimiddleware.RequestSize(1<<20),
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0)}),
		chimiddleware.Compress(5), chimiddleware.Timeout(time.Minute), chimiddleware.NoCache,
	)
	r.Route("/", func(r chi.Router) { r.Handle("/ws", h) })
	conn := dialTLS(t, r)

	const hi = "\x81\x82\x00\x00\x00\x00hi"
	_, err := io.WriteString(conn, opening+hi)
	must(t, err)
	b := bufio.NewReader(conn)
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("answered %v, %v", res, err)
	}
	_, err = io.WriteString(conn, hi)
	must(t, err)
	echoed := make([]byte, 8)
	if _, err := io.ReadFull(b, echoed); err != nil || string(echoed) != "\x81\x02hi\x81\x02hi" {
		t.Errorf("echoed % x, %v", echoed, err)
	}
}

type hiding struct{ http.ResponseWriter }

// A writer that hides the connection is named in the log, and nowhere else, also if chi's
// writer wraps it.
func TestWriterBehindThatOfChiIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	logged := &logs{}
	h := socket(t, ws.Config{Log: logged.logger(), Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
		asked.Store(true)
		return middleware.Principal{Subject: "ann"}, nil
	}))})
	conn := dialTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(chimiddleware.NewWrapResponseWriter(hiding{w}, 1), r)
	}))
	_, err := io.WriteString(conn, opening)
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	var problem struct {
		Status int
		Reason string
	}
	must(t, json.NewDecoder(res.Body).Decode(&problem))
	if res.StatusCode != 500 || problem.Status != 500 || problem.Reason != "internal" {
		t.Errorf("answered %d %+v, want 500 internal", res.StatusCode, problem)
	}
	if got := logged.String(); !strings.Contains(got, "interop.hiding hides http.Hijacker") {
		t.Errorf("the log does not name interop.hiding:\n%s", got)
	}
	if asked.Load() {
		t.Error("the credential was authenticated before the refusal")
	}
}
