package middleware_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
)

// panickingAuthenticator panics with a secret.
type panickingAuthenticator struct{}

func (panickingAuthenticator) Ambient() bool { return false }

func (panickingAuthenticator) Authenticate(*http.Request) (middleware.Principal, error) {
	panic(errors.New("holds s3cret"))
}

// ASVS 16.2.5: a text that may hold a secret is logged only if DangerouslyLogPanicText asks for
// it, wherever the panic is contained and logged.
func TestDangerouslyLogPanicText(t *testing.T) {
	t.Parallel()
	auth, err := middleware.NewAuth(panickingAuthenticator{})
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	aborts := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	recoverThere := func(log *slog.Logger) []middleware.Middleware {
		return []middleware.Middleware{middleware.Recover(log)}
	}
	accessLog := func(log *slog.Logger) []middleware.Middleware {
		return []middleware.Middleware{middleware.AccessLog(log)}
	}
	both := func(log *slog.Logger) []middleware.Middleware {
		return []middleware.Middleware{middleware.AccessLog(log), middleware.Recover(nil)}
	}
	with := func(log *slog.Logger) []middleware.Middleware { return recoverThere(log.With("node", 1)) }
	for _, tt := range []struct {
		name   string
		layers func(*slog.Logger) []middleware.Middleware
		next   http.Handler
		want   any
	}{
		{"Recover, a string", recoverThere, panicking("holds s3cret"), "holds s3cret"},
		{"Recover, with an attribute", with, panicking("holds s3cret"), "holds s3cret"},
		{"Recover, an error", recoverThere, panicking(fmt.Errorf("holds %w", errors.New("s3cret"))), "holds s3cret"},
		{"Recover, another value", recoverThere, panicking([]string{"s3cret"}), nil},
		{"Recover, control characters", recoverThere, panicking("s3cret\n\x1b[2J"), `s3cret\n\x1b[2J`},
		{"AccessLog around Recover", both, panicking("holds s3cret"), "holds s3cret"},
		{"AccessLog, an authenticator", accessLog, auth.Handler(ok), "holds s3cret"},
		{"AccessLog, an error of a handler that has not panicked", accessLog, failing(errors.New("disk is full")), nil},
		{"AccessLog, an answer", accessLog, ok, nil},
		{"AccessLog, a handler that aborts", accessLog, aborts, nil},
	} {
		for name, dangerously := range map[string]bool{"by default": false, "dangerously": true} {
			log, lines := jsonLog(t)
			want := any(nil)
			if dangerously {
				log, want = middleware.DangerouslyLogPanicText(log), tt.want
			}
			func() {
				defer func() { _ = recover() }()
				middleware.Chain(tt.next, tt.layers(log)...).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
			}()
			if got := lines(); len(got) != 1 || got[0]["panic_text"] != want {
				t.Errorf("%s, %s: want %v in %v", tt.name, name, want, got)
			}
		}
	}
}

func TestDangerouslyLogPanicTextInAGroup(t *testing.T) {
	t.Parallel()
	log, lines := jsonLog(t)
	middleware.Recover(middleware.DangerouslyLogPanicText(log).WithGroup("site"))(panicking("holds s3cret")).
		ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	got := lines()
	if site, _ := got[0]["site"].(map[string]any); len(got) != 1 || site["panic_text"] != "holds s3cret" {
		t.Errorf("%v", got)
	}
}

func failing(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { middleware.Refuse(w, r, err) })
}
