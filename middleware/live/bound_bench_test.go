package live

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
)

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
	waits := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { r.Context().Done(); _, _ = io.WriteString(rw, "hello") })
	for _, bench := range []struct {
		name string
		h    http.Handler
	}{{"bare", short}, {"layer", g.Handler(short)}, {"layer, as a member", g.Handler(waits)}} {
		b.Run(bench.name, func(b *testing.B) {
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				bench.h.ServeHTTP(w, r)
			}
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
