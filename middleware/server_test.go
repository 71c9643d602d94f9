package middleware_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// listen runs the server on a real socket until the test ends.
func listen(t *testing.T, srv *http.Server, overTLS bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	if overTLS {
		cert := httptest.NewUnstartedServer(nil)
		cert.StartTLS()
		srv.TLSConfig.Certificates = cert.TLS.Certificates
		cert.Close()
		go func() { _ = srv.ServeTLS(l, "", "") }()
	} else {
		go func() { _ = srv.Serve(l) }()
	}
	return l.Addr().String()
}

func connect(t *testing.T, addr string, overTLS bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if overTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// 431 above 16 KiB of header and above 100 fields (RFC 6585 §5).
func TestServerBoundsTheHeader(t *testing.T) {
	t.Parallel()
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X-%d: y\r\n", i)
		}
		return b.String()
	}
	for _, overTLS := range []bool{false, true} {
		var served atomic.Int64
		srv := middleware.NewServer("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
		addr := listen(t, srv, overTLS)
		for _, tt := range []struct {
			name   string
			header string
			status int
		}{
			{"what browsers send", fields(20), 200},
			{"100 fields", fields(100), 200},
			{"101 fields", fields(101), 431},
			{"101 values of one field", strings.Repeat("X: y\r\n", 101), 431},
			{"15 KiB", "X: " + strings.Repeat("y", 15<<10) + "\r\n", 200},
			{"17 KiB", "X: " + strings.Repeat("y", 17<<10) + "\r\n", 431},
			{"17 KiB in many fields", strings.Repeat("X: "+strings.Repeat("y", 250)+"\r\n", 70), 431},
			{"a request line of 17 KiB", "", 431},
		} {
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, overTLS), func(t *testing.T) {
				c := connect(t, addr, overTLS)
				target := "/"
				if tt.header == "" {
					target += strings.Repeat("y", 17<<10)
				}
				before := served.Load()
				go func() { _, _ = io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: x\r\n"+tt.header+"\r\n") }()
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != tt.status {
					t.Errorf("%d, want %d", resp.StatusCode, tt.status)
				}
				if reached := served.Load() > before; reached != (tt.status == 200) {
					t.Errorf("reached the handler: %v", reached)
				}
			})
		}
	}
}

func TestServerSaysWhyItRefusesFields(t *testing.T) {
	t.Parallel()
	r := requestWith("GET", "/")
	for i := range 101 {
		r.Header.Add("X", fmt.Sprint(i))
	}
	if status, reason := answer(t, middleware.NewServer("", http.NotFoundHandler()).Handler, r); status != 431 ||
		reason != "header_too_large" {
		t.Errorf("%d %s", status, reason)
	}
}

// That refusal stands in front of every layer, and is logged anyway (ASVS
// 16.3.3).
func TestServerLogsThatItRefusesFields(t *testing.T) { // not parallel: slog.Default
	var lines bytes.Buffer
	before, stdlog := slog.Default(), log.Writer()
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(stdlog)
	}()
	h := middleware.NewServer("", http.NotFoundHandler()).Handler
	r := requestWith("GET", "/")
	for i := range 101 {
		r.Header.Add("X", fmt.Sprint(i))
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	if s := lines.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "status=431") ||
		!strings.Contains(s, "reason=header_too_large") {
		t.Errorf("logged:\n%s", s)
	}
}

// `OPTIONS *` (RFC 9110 §9.3.7) passes the layers: net/http would answer it by itself.
func TestServerHasNoWayAroundTheLayers(t *testing.T) {
	t.Parallel()
	hosts := hostPolicy(t, "app.example")
	addr := listen(t, middleware.NewServer("", hosts.Handler(http.DefaultServeMux)), false)
	c := connect(t, addr, false)
	_, _ = io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 421 {
		t.Errorf("%d, want 421", resp.StatusCode)
	}
}

// Someone who connects and says nothing, or stops in the middle, is cut off:
// each phase has a limit of 10 s at most.
func TestServerLimits(t *testing.T) {
	t.Parallel()
	srv := middleware.NewServer("127.0.0.1:8443", nil)
	for name, limit := range map[string]time.Duration{
		"ReadHeaderTimeout": srv.ReadHeaderTimeout, "ReadTimeout": srv.ReadTimeout,
		"WriteTimeout": srv.WriteTimeout, "IdleTimeout": srv.IdleTimeout,
	} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s: %v", name, limit)
		}
	}
	if srv.ReadHeaderTimeout != 5*time.Second {
		t.Errorf("ReadHeaderTimeout: %v", srv.ReadHeaderTimeout)
	}
	if srv.TLSConfig.MinVersion != 0x0303 { // TLS 1.2 (RFC 9325 §3.1.1)
		t.Errorf("MinVersion: %#x", srv.TLSConfig.MinVersion)
	}
	if srv.Addr != "127.0.0.1:8443" || srv.ErrorLog == nil {
		t.Errorf("Addr %q, ErrorLog %v", srv.Addr, srv.ErrorLog)
	}
}

// A real socket, and so real time: a header that never ends, and a TLS hello that
// never comes.
func TestServerCutsSilentClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits 5 s")
	}
	for _, overTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", overTLS), func(t *testing.T) {
			t.Parallel()
			addr := listen(t, middleware.NewServer("", http.NotFoundHandler()), overTLS)
			c := connect(t, addr, false)
			if !overTLS {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n")
			}
			start := time.Now()
			_ = c.SetReadDeadline(start.Add(15 * time.Second))
			_, err := io.Copy(io.Discard, c)
			if took := time.Since(start); err != nil || took > 10*time.Second {
				t.Errorf("still there after %v: %v", took, err)
			}
		})
	}
}

// A nil handler is http.DefaultServeMux, as net/http has it.
func TestServerWithoutHandler(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	middleware.NewServer("", nil).Handler.ServeHTTP(rec, requestWith("GET", "/nothing-registered"))
	if rec.Code != http.StatusNotFound {
		t.Errorf("%d", rec.Code)
	}
}
