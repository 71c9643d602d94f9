//go:build unix

package live

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// Echoes over a connection without the layer and over a bound one, in turn, so that the
// machine changes both alike. The metric bound/bare is the ratio of the CPU time, that of the
// client included, which does no more than write and read. The module internal/interop has the
// same for gorilla.
func BenchmarkEcho(b *testing.B) {
	g, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	a, err := middleware.NewAuth(newStore())
	if err != nil {
		b.Fatal(err)
	}
	for _, lib := range libraries {
		for _, kind := range []string{"plain", "TLS"} {
			for _, size := range []int{100, 16 << 10} {
				b.Run(fmt.Sprint(lib.name, "/", kind, "/", size, " B"), func(b *testing.B) {
					echo := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = lib.echo(false, rw, r) })
					var pair [2]*echoed
					for i, h := range []http.Handler{echo, g.Handler(echo)} {
						pair[i] = openEcho(b, a.Handler(h), kind, size)
					}
					const turn = 50 // messages
					for b.Loop() {
						for _, e := range pair {
							e.exchange(b, turn)
						}
					}
					for i, name := range []string{"bare", "bound"} {
						b.ReportMetric(float64(pair[i].used)/float64(pair[i].n)/1000, "cpu-µs/"+name)
					}
					b.ReportMetric(float64(pair[1].used)/float64(pair[0].used), "bound/bare")
					b.ReportMetric(0, "ns/op") // of a turn, which says nothing
				})
			}
		}
	}
}

// echoed is a client, and what its exchanges took.
type echoed struct {
	conn         net.Conn
	frame, reply []byte
	n            int
	used         time.Duration
}

func openEcho(b *testing.B, h http.Handler, kind string, size int) *echoed {
	b.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
	}))
	dial := func() (net.Conn, error) { return net.Dial("tcp", s.Listener.Addr().String()) }
	if kind == "TLS" {
		s.StartTLS()
		dial = func() (net.Conn, error) {
			//nolint:gosec // the server of this benchmark
			return tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		}
	} else {
		s.Start()
	}
	b.Cleanup(s.Close)
	c, err := dial()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	r := handshake("session")
	r.Host = "example.com"
	_ = r.Write(c)
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		b.Fatal(err)
	}
	frame := buildFrame(0x82, make([]byte, size), true)
	return &echoed{conn: c, frame: frame, reply: make([]byte, len(frame)-4)}
}

func (e *echoed) exchange(b *testing.B, n int) {
	b.Helper()
	began := cpuTime()
	for range n {
		if _, err := e.conn.Write(e.frame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(e.conn, e.reply); err != nil {
			b.Fatal(err)
		}
	}
	e.used += cpuTime() - began
	e.n += n
}
