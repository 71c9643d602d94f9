//go:build unix

package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// Echoes of gorilla over a connection without the layer and over a bound one, in turn, so that
// the machine changes both alike. The metric bound/bare is the ratio of the CPU time, that of
// the client included, which does no more than write and read. Package live has the same for
// coder/websocket.
func BenchmarkEcho(b *testing.B) {
	g, err := live.New(live.Config{Log: quiet})
	must(b, err)
	a, err := middleware.NewAuth(&direct{})
	must(b, err)
	for _, lib := range []struct {
		name string
		up   websocket.Upgrader
	}{
		{"gorilla", websocket.Upgrader{}},
		{"gorilla, with a write buffer of 32 KiB", websocket.Upgrader{WriteBufferSize: 32 << 10}},
	} {
		for _, kind := range []string{"plain", "TLS"} {
			for _, size := range []int{100, 16 << 10} {
				b.Run(fmt.Sprint(lib.name, "/", kind, "/", size, " B"), func(b *testing.B) {
					h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoOver(lib.up, rw, r) })
					var pair [2]*echo
					for i, h := range []http.Handler{h, g.Handler(h)} {
						pair[i] = openEcho(b, a.Handler(h), kind, size)
					}
					const turn = 50 // messages
					for b.Loop() {
						for _, e := range pair {
							e.repeat(b, turn)
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

// echo is a client, and the CPU time of its echoes.
type echo struct {
	*peer
	frame, reply []byte
	n            int
	used         time.Duration
}

func openEcho(b *testing.B, h http.Handler, kind string, size int) *echo {
	b.Helper()
	s := httptest.NewUnstartedServer(h)
	if kind == "TLS" {
		s.StartTLS()
	} else {
		s.Start()
	}
	b.Cleanup(s.Close)
	frame := masked(0x82, make([]byte, size))
	e := &echo{peer: dial(b, s, nil), frame: frame, reply: make([]byte, len(frame)-4)}
	_ = e.SetDeadline(time.Time{})
	return e
}

func (e *echo) repeat(b *testing.B, n int) {
	b.Helper()
	began := cpuTime()
	for range n {
		if _, err := e.Write(e.frame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(e.Conn, e.reply); err != nil {
			b.Fatal(err)
		}
	}
	e.used += cpuTime() - began
	e.n += n
}

// cpuTime is what this process has used: other processes on the machine change it less than a
// duration.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
