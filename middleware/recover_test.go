package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

const internalProblem = `{"type":"about:blank","title":"Internal Server Error","status":500,"reason":"internal"}`

func panicking(v any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		panic(v)
	})
}

// jsonLog returns a logger, and a function that returns its lines.
func jsonLog(t testing.TB) (*slog.Logger, func() []map[string]any) {
	var out bytes.Buffer
	return slog.New(slog.NewJSONHandler(&out, nil)), func() []map[string]any { return decodeLines(t, out.String()) }
}

// A panic is answered with 500, and its cause is logged once: inside an AccessLog in that
// line. The value may hold a secret (ASVS 16.2.5, 16.5.1); its type and the text of a
// runtime error are shown.
func TestRecover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		cause string
	}{
		{"a text", "holds s3cret", "panic: string"},
		{"an error", fmt.Errorf("holds %w", errors.New("s3cret")), "panic: *fmt.wrapError"},
		{"a value that cannot be compared", []string{"s3cret"}, "panic: []string"},
		{"a runtime error", nil, "panic: " + new(runtime.PanicNilError).Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			accessLog, accessLines := jsonLog(t)
			recoverLog, recoverLines := jsonLog(t)
			for name, layers := range map[string][]middleware.Middleware{
				"alone":               {middleware.Recover(recoverLog)},
				"inside an AccessLog": {middleware.AccessLog(accessLog), middleware.Recover(recoverLog)},
			} {
				rec := httptest.NewRecorder()
				middleware.Chain(panicking(tt.value), layers...).ServeHTTP(rec, requestWith("GET", "/"))
				if rec.Code != 500 || rec.Body.String() != internalProblem || rec.Header().Get("Content-Encoding") != "" {
					t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
				}
			}
			alone, inside := recoverLines(), accessLines()
			if len(alone) != 1 || len(inside) != 1 {
				t.Fatalf("want one line each: %v, %v", alone, inside)
			}
			if alone[0]["msg"] != "panic" || inside[0]["msg"] != "request" || inside[0]["status"] != 500.0 ||
				inside[0]["reason"] != "internal" {
				t.Errorf("%v, %v", alone, inside)
			}
			for _, line := range []map[string]any{alone[0], inside[0]} {
				cause, _ := line["cause"].(string)
				stack, _ := line["stack"].(string)
				if line["level"] != "ERROR" || !strings.HasPrefix(cause, tt.cause) || !strings.Contains(stack, "recover_test.go") {
					t.Errorf("want cause %q: %v", tt.cause, line)
				}
				if strings.Contains(fmt.Sprint(line), "s3cret") {
					t.Errorf("the value is in the log: %v", line)
				}
			}
		})
	}
}

// Outside an AccessLog, Recover has a line of its own with the cause. The line of the
// request says that it panicked.
func TestRecoverOutsideAccessLog(t *testing.T) {
	t.Parallel()
	accessLog, accessLines := jsonLog(t)
	recoverLog, recoverLines := jsonLog(t)
	rec := httptest.NewRecorder()
	middleware.Chain(panicking("s3cret"), middleware.Recover(recoverLog), middleware.AccessLog(accessLog)).ServeHTTP(rec,
		requestWith("GET", "/"))
	inner, outer := accessLines(), recoverLines()
	if rec.Code != 500 || len(inner) != 1 || len(outer) != 1 || inner[0]["panic"] != true || inner[0]["cause"] != nil ||
		outer[0]["cause"] != "panic: string" {
		t.Errorf("%d, %v, %v", rec.Code, inner, outer)
	}
}

// http.ErrAbortHandler is how a handler ends a connection on purpose.
func TestRecoverPassesErrAbortHandler(t *testing.T) {
	t.Parallel()
	recoverLog, recoverLines := jsonLog(t)
	defer func() {
		if v := recover(); v != http.ErrAbortHandler || len(recoverLines()) != 0 {
			t.Errorf("%v, %v", v, recoverLines())
		}
	}()
	middleware.Recover(recoverLog)(panicking(http.ErrAbortHandler)).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
}

// A response that has begun is not completed: the client sees that the connection ended
// (RFC 9112 §8). Neither net/http nor a second line of ours repeats the panic.
func TestRecoverOfAResponseThatHasBegun(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"header": func(w http.ResponseWriter) { w.WriteHeader(200); _ = http.NewResponseController(w).Flush() },
		"body": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		},
		"hijacked": func(w http.ResponseWriter) { conn, _, _ := http.NewResponseController(w).Hijack(); _ = conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var serverLog bytes.Buffer
			accessLog, accessLines := jsonLog(t)
			recoverLog, recoverLines := jsonLog(t)
			returned := make(chan struct{})
			tell := func(next http.Handler) http.Handler { // a server does not wait for a hijacked handler
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(returned)
					next.ServeHTTP(w, r)
				})
			}
			srv := httptest.NewUnstartedServer(middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				begin(w)
				panic("s3cret")
			}), tell, middleware.AccessLog(accessLog), middleware.Recover(recoverLog)))
			srv.Config.ErrorLog = log.New(&serverLog, "", 0)
			srv.Start()
			resp, err := srv.Client().Get(srv.URL)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			<-returned
			srv.Close()
			lines := accessLines()
			if err == nil || serverLog.Len() > 0 || len(recoverLines()) > 0 {
				t.Errorf("%v, log of the server %q, %v", err, serverLog.String(), recoverLines())
			}
			if len(lines) != 1 || lines[0]["reason"] != "internal" || lines[0]["cause"] != "panic: string" || lines[0]["level"] != "ERROR" {
				t.Errorf("%v", lines)
			}
		})
	}
}

// An informational response does not begin the final one (RFC 9110 §15.2).
func TestRecoverAfterEarlyHints(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	middleware.Recover(slog.New(slog.DiscardHandler))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		panic("x")
	})).ServeHTTP(rec, requestWith("GET", "/"))
	if rec.Body.String() != internalProblem {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// Refuse logs a contained panic once: in the line of an AccessLog, otherwise to the default
// logger. It replaces the default logger, and so runs alone.
func TestRefuseLogsAContainedPanic(t *testing.T) {
	def, defLines := jsonLog(t)
	before := slog.Default()
	slog.SetDefault(def)
	defer slog.SetDefault(before)
	err := fmt.Errorf("ws: Authorize: %w", bounded.Panicked("s3cret"))
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { middleware.Refuse(w, r, err) })
	if status, reason := answer(t, refuse, requestWith("GET", "/")); status != 500 || reason != "internal" {
		t.Errorf("%d %s", status, reason)
	}
	if got := defLines(); len(got) != 1 || got[0]["cause"] != "ws: Authorize: panic: string" || got[0]["stack"] == nil {
		t.Errorf("without an AccessLog: %v", got)
	}
	lines := logged(t, refuse, requestWith("GET", "/"))
	if len(lines) != 1 || lines[0]["cause"] != "ws: Authorize: panic: string" || lines[0]["stack"] == nil || len(defLines()) != 1 {
		t.Errorf("in an AccessLog: %v, and %v", lines, defLines())
	}
	middleware.Refuse(httptest.NewRecorder(), requestWith("GET", "/"), errors.New("disk is full"))
	middleware.Recover(nil)(panicking("s3cret")).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	if got := defLines(); len(got) != 2 || got[1]["cause"] != "panic: string" {
		t.Errorf("Recover with a nil logger: %v", got)
	}
}
