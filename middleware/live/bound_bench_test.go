//go:build unix

package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
)

// cpuTime returns what this process has used: other processes on the machine change it less
// than a duration.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, began time.Duration) {
	b.Helper()
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
}

var jsonType = []string{"application/json"}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// A short answer costs the layer at most 350 ns and 3 allocations beside its own.
func BenchmarkShortAnswer(b *testing.B) {
	g, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	store := newStore()
	a, err := middleware.NewAuth(store)
	if err != nil {
		b.Fatal(err)
	}
	r := requestFrom("192.0.2.1:1234")
	r, err = a.Admit(r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
	if err != nil {
		b.Fatal(err)
	}
	other := new(still) // the registry is not empty, and follows the Auth
	v, _ := middleware.VoucherFrom(r.Context())
	if err := errors.Join(g.Reserve(&other.Binding, r), other.Bind(r.Context(), v, other)); err != nil {
		b.Fatal(err)
	}
	other.Open()
	defer other.Leave(nil)
	if r, err = authAgain(a); err != nil {
		b.Fatal(err)
	}
	short := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "hello") })
	header := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header()["Content-Type"] = jsonType
		_, _ = io.WriteString(rw, "hello")
	})
	waits := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { r.Context().Done(); _, _ = io.WriteString(rw, "hello") })
	for _, bench := range []struct {
		name  string
		h     http.Handler
		outer int // fields of the layers in front
	}{
		{"bare", short, 0},
		{"layer", g.Handler(short), 0},
		{"bare, 10 outer fields and a Content-Type", header, 10},
		{"layer, 10 outer fields and a Content-Type", g.Handler(header), 10},
		{"layer, as a member", g.Handler(waits), 0},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := &discard{http.Header{}}
			for i := range bench.outer {
				w.header[fmt.Sprint("X-", i)] = jsonType
			}
			b.ReportAllocs()
			began := cpuTime()
			for b.Loop() {
				bench.h.ServeHTTP(w, r)
			}
			reportCPU(b, began)
		})
	}
}

// authAgain has the Auth asked once more, after the registry has begun to follow it.
func authAgain(a *middleware.Auth) (*http.Request, error) {
	r := requestFrom("192.0.2.1:1234")
	return a.Admit(r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
}

func BenchmarkEcho(b *testing.B) {
	g, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	a, err := middleware.NewAuth(newStore())
	if err != nil {
		b.Fatal(err)
	}
	for _, lib := range libraries[:3] {
		echo := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = lib.echo(false, rw, r) })
		for _, bound := range []bool{false, true} {
			h := http.Handler(echo)
			if bound {
				h = g.Handler(echo)
			}
			for _, size := range []int{100, 16 << 10} {
				b.Run(lib.name+map[bool]string{false: "/bare/", true: "/bound/"}[bound]+map[bool]string{true: "100 B", false: "16 KiB"}[size == 100], func(b *testing.B) {
					benchEcho(b, a.Handler(h), size)
				})
			}
		}
	}
}

func benchEcho(b *testing.B, h http.Handler, size int) {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
	}))
	defer s.Close()
	d := gorilla.Dialer{WriteBufferSize: 1 << 17, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the server of this test
	c, _, err := d.Dial("ws"+s.URL[len("http"):], nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	p := make([]byte, size)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.WriteMessage(gorilla.BinaryMessage, p); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}
