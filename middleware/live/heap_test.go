package live

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// A bound connection takes at most 1,900 B of heap more than one without the layer: the
// response, the connection, the binding, a copy of the request, a context, and its entries in
// the index. It is measured on pipes, so that no buffer of a socket blurs it.
func TestHeapOfABoundConnection(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const connections = 2000
	measure := func(wrap func(*world, http.Handler) http.Handler) int64 {
		w := newWorld(t, Config{Events: func(Event) {}, Limits: Limits{Connections: connections, PerPrincipal: connections, PerAddress: connections}})
		hijacked, release := make(chan struct{}), make(chan struct{})
		h := wrap(w, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
			}
			hijacked <- struct{}{}
			<-release
			_ = conn.Close()
		}))
		requests := make([]*http.Request, connections)
		writers := make([]*pipeWriter, connections)
		for i := range requests {
			requests[i] = handshake(fmt.Sprint("session ", i))
			_, server := net.Pipe()
			writers[i] = &pipeWriter{httptest.NewRecorder(), server}
		}
		done := make(chan struct{}, connections)
		before := heap()
		for i := range requests {
			go func() { h.ServeHTTP(writers[i], requests[i]); done <- struct{}{} }()
			<-hijacked
		}
		taken := heap() - before
		close(release)
		for range connections {
			<-done
		}
		runtime.KeepAlive(writers)
		runtime.KeepAlive(requests)
		w.settled()
		return taken / connections
	}
	measure((*world).front) // the goroutines' own memory is reused from here on
	bare := measure((*world).frontAlone)
	bound := measure((*world).front)
	t.Logf("bare %d B, bound %d B: %d B more", bare, bound, bound-bare)
	if bound-bare > 1900 {
		t.Errorf("bare %d B, bound %d B", bare, bound)
	}
}
