package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// logged serves one request behind an AccessLog and returns its lines.
func logged(t testing.TB, next http.Handler, r *http.Request, layers ...middleware.Middleware) []map[string]any {
	t.Helper()
	var log bytes.Buffer
	layers = append([]middleware.Middleware{middleware.AccessLog(slog.New(slog.NewJSONHandler(&log, nil)))}, layers...)
	func() {
		defer func() { _ = recover() }()
		middleware.Chain(next, layers...).ServeHTTP(httptest.NewRecorder(), r)
	}()
	return decodeLines(t, log.String())
}

func decodeLines(t testing.TB, log string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range strings.Lines(log) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestAccessLogWritesOneLine(t *testing.T) {
	t.Parallel()
	auth := mustAuth(t, &headerCredential{header: "X-Bearer"})
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.Annotate(r.Context(), slog.String("room", "lobby"))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "hello")
	})
	lines := logged(t, ok, requestWith("POST", "https://app.example/rooms?token=s3cret",
		"X-Bearer", "ann", "Origin", "https://app.example"), auth.Handler)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	for name, want := range map[string]any{
		"msg": "request", "level": "INFO", "method": "POST", "host": "app.example", "path": "/rooms",
		"status": 201.0, "bytes": 5.0, "client": "192.0.2.1", "room": "lobby",
	} {
		if lines[0][name] != want {
			t.Errorf("%s: %v, want %v", name, lines[0][name], want)
		}
	}
	if id, _ := lines[0]["id"].(string); len(id) < 22 { // 128 bits in base32 or wider
		t.Errorf("id %q", id)
	}
	if got := lines[0]["origin"]; got != "https://app.example" {
		t.Errorf("origin %v", got)
	}
	if p, _ := lines[0]["principal"].(map[string]any); p["subject"] != "ann" || p["issuer"] != "test" {
		t.Errorf("principal %v", lines[0]["principal"])
	}
}

// Reason and cause of every refusal (ASVS 16.3.1, 16.3.2); the level by the status.
func TestAccessLogOfRefusals(t *testing.T) {
	t.Parallel()
	refuse := func(err error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { middleware.Refuse(w, r, err) })
	}
	for _, tt := range []struct {
		name                 string
		handler              http.Handler
		status               float64
		level, reason, cause string
	}{
		{
			name: "a refusal", handler: refuse(&middleware.Refusal{
				Status: 403,
				Reason: "origin_not_allowed", Err: errors.New("https://evil.example"),
			}),
			status: 403, level: "WARN", reason: "origin_not_allowed", cause: "https://evil.example",
		},
		{
			name: "a fault", handler: refuse(errors.New("disk is full")),
			status: 500, level: "ERROR", reason: "internal", cause: "disk is full",
		},
		{
			name:    "a store that is down",
			handler: refuse(&middleware.Refusal{Status: 503, Reason: "unavailable", Err: errors.New("redis: timeout")}),
			status:  503, level: "ERROR", reason: "unavailable", cause: "redis: timeout",
		},
		{name: "a 404 of another handler", handler: http.NotFoundHandler(), status: 404, level: "INFO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := logged(t, tt.handler, requestWith("GET", "/"))
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			line := lines[0]
			reason, _ := line["reason"].(string)
			cause, _ := line["cause"].(string)
			if line["status"] != tt.status || line["level"] != tt.level || reason != tt.reason || !strings.Contains(cause, tt.cause) {
				t.Errorf("%v", line)
			}
		})
	}
}

// A client that leaves while a store is asked causes no line at Error, unlike a store that
// does not answer.
func TestAccessLogOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	for level, cause := range map[string]error{"WARN": context.Canceled, "ERROR": context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(t.Context())
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			middleware.Refuse(w, r, middleware.Unavailable(cause))
		})
		lines := logged(t, h, requestWith("GET", "/").WithContext(ctx))
		if len(lines) != 1 || lines[0]["level"] != level || lines[0]["status"] != 503.0 {
			t.Errorf("%v: %v, want %s", cause, lines, level)
		}
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware.Refuse(w, r, middleware.Unavailable(context.Canceled))
	})
	if lines := logged(t, h, requestWith("GET", "/")); lines[0]["level"] != "ERROR" {
		t.Errorf("the client is still there: %v", lines)
	}
}

// Tokens travel in all of these (ASVS 14.2.1, 16.2.5; WebSocket cheat sheet W23).
func TestAccessLogKeepsSecretsOut(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	r := httptest.NewRequest("POST", "https://user:s3cret@app.example/ws?ticket=s3cret#s3cret", strings.NewReader("s3cret"))
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Sec-WebSocket-Protocol",
		"Sec-WebSocket-Key", "Referer", "X-Csrf-Token", "X-Bearer",
	} {
		r.Header.Set(name, "s3cret")
	}
	var log bytes.Buffer
	middleware.AccessLog(slog.New(slog.NewTextHandler(&log, nil)))(echo).ServeHTTP(httptest.NewRecorder(), r)
	if strings.Contains(log.String(), "s3cret") || !strings.Contains(log.String(), "path=/ws ") {
		t.Error(log.String())
	}
}

// A client's text stays inside its value (ASVS 16.4.1).
func TestAccessLogCannotBeInjected(t *testing.T) {
	t.Parallel()
	const forged = "x\nlevel=INFO msg=request status=200\r\n{\"level\":\"INFO\"}"
	r := requestWith("GET", "/%0Alevel=INFO%0D%0A%7B%22level%22%7D")
	r.Host = forged
	r.Header["Origin"] = []string{forged}
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var log bytes.Buffer
		middleware.AccessLog(slog.New(handler(&log)))(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		if strings.Count(log.String(), "\n") != 1 || !strings.HasSuffix(log.String(), "\n") || strings.Contains(log.String(), "\r") {
			t.Errorf("%s: %q", name, log.String())
		}
	}
}

func TestAccessLogInsideAnotherAddsNothing(t *testing.T) {
	t.Parallel()
	var inner bytes.Buffer
	lines := logged(t, http.NotFoundHandler(), requestWith("GET", "/"), middleware.AccessLog(slog.New(slog.NewTextHandler(&inner, nil))))
	if len(lines) != 1 || inner.Len() != 0 {
		t.Errorf("%d lines outside, %q inside", len(lines), inner.String())
	}
}

// A panic is logged once and goes on to net/http, which contains it (ASVS 16.5.4).
func TestAccessLogPassesPanicsOn(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := middleware.AccessLog(slog.New(slog.NewJSONHandler(&log, nil)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("holds s3cret")
	}))
	func() {
		defer func() {
			if p := recover(); p != "holds s3cret" {
				t.Errorf("recovered %v", p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	}()
	lines := decodeLines(t, log.String())
	if len(lines) != 1 || lines[0]["panic"] != true || lines[0]["status"] != 500.0 || lines[0]["level"] != "ERROR" {
		t.Errorf("%v", lines)
	}
	if strings.Contains(log.String(), "s3cret") {
		t.Error("the panic's value is in the access log")
	}
}

func TestAccessLogHonoursTheLoggersLevel(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	quiet := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	middleware.AccessLog(quiet)(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	if log.Len() != 0 {
		t.Error(log.String())
	}
}

func TestRequestIDIsFreshAndOurs(t *testing.T) {
	t.Parallel()
	if id := middleware.RequestID(context.Background()); id != "" {
		t.Errorf("without AccessLog: %q", id)
	}
	seen := map[string]bool{}
	h := middleware.AccessLog(slog.New(slog.DiscardHandler))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen[middleware.RequestID(r.Context())] = true
	}))
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/", "X-Request-Id", "forged"))
	}
	if len(seen) != 100 || seen["forged"] || seen[""] {
		t.Errorf("%d ids in 100 requests", len(seen))
	}
}
