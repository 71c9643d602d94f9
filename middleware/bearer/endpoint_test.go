package bearer_test

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware/bearer"
)

// endpoint is a key set's https server whose answer can be changed.
type endpoint struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int64
}

func newEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.answer.Store(&answer)
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.fetches.Add(1)
		(*e.answer.Load())(w, r)
	}))
	e.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) becomes(answer http.HandlerFunc) { e.answer.Store(&answer) }

func (e *endpoint) authenticator(t *testing.T) *bearer.Authenticator {
	return newAuthenticator(t, bearer.Config{
		Issuer: issuer, Audience: []string{audience}, JWKS: e.URL + "/jwks", HTTPClient: e.Client(), CoolDown: 30 * time.Second,
	})
}

func serves(set []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }
}

// gzipBomb is good keys behind 64 MiB of space.
var gzipBomb = sync.OnceValue(func() []byte {
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	for range 64 {
		_, _ = z.Write(mebibyte)
	}
	_, _ = z.Write(goodKeys())
	_ = z.Close()
	return bomb.Bytes()
})

var mebibyte = bytes.Repeat([]byte(" "), 1<<20)

// faults are the ways of an endpoint to be ill. None of them ends a test by
// itself: those that hang do so until the client is gone.
func faults(t *testing.T) map[string]http.HandlerFunc {
	elsewhere := newEndpoint(t, serves(goodKeys()))
	t.Cleanup(func() {
		if n := elsewhere.fetches.Load(); n != 0 {
			t.Errorf("a redirect to another host was followed %d times", n)
		}
	})
	return map[string]http.HandlerFunc{
		"answers 500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = w.Write(goodKeys()) },
		"answers 204":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"answers HTML":    serves([]byte("<!DOCTYPE html><title>Sign in</title>")),
		"is empty":        serves(nil),
		"has no keys":     serves([]byte(`{"keys":[]}`)),
		"has no set":      serves([]byte(`{}`)),
		"has keys null":   serves([]byte(`{"keys":null}`)),
		"has junk keys":   serves([]byte(`{"keys":[{"kty":"oct","kid":"ec","k":"AAAA"},{"kty":"AKP","kid":"ec"}]}`)),
		"has junk behind": serves(append(goodKeys(), '}')),
		"is huge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(goodKeys())
			for range 64 {
				if _, err := w.Write(mebibyte); err != nil {
					return
				}
			}
		},
		"has 200000 keys": serves([]byte(`{"keys":[` + strings.Repeat("{},", 200000) + jwk("ec", ecKey()).String() + `]}`)),
		"is truncated": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(goodKeys())
		},
		"is a gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(gzipBomb())
		},
		"redirects to another host": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"redirects to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/jwks", http.StatusMovedPermanently)
		},
		"resets the connection": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			if tcp, ok := c.(interface{ NetConn() net.Conn }); ok {
				_ = tcp.NetConn().(*net.TCPConn).SetLinger(0)
				_ = tcp.NetConn().Close()
			}
		},
		"has a huge header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("a", 1<<20))
			_, _ = w.Write(goodKeys())
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drips": func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for _, c := range goodKeys() {
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
					_, _ = w.Write([]byte{c})
					_ = http.NewResponseController(w).Flush()
				}
			}
		},
	}
}
