package live

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// A bound connection takes this much heap more than one without the layer. The first handler
// keeps nothing of its request, as those of gorilla: the response, the connection and the
// binding take 560 B, the principal 320 B, the id and the entries in the index 64 B, the
// context of the Auth 48 B. The second one waits on the context of its request, as those of
// coder do, and keeps the last two also without the layer: the context that the end cancels
// takes 488 B. It is measured on pipes, so that no buffer of a socket blurs it.
func TestHeapOfABoundConnection(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	for _, test := range []struct {
		name  string
		waits bool
		most  int64
	}{
		{"the handler keeps nothing of its request", false, 1024},
		{"the handler waits on its context", true, 1200},
	} {
		t.Run(test.name, func(t *testing.T) {
			heapOfConnections(t, true, test.waits) // the goroutines' own memory is reused from here on
			least := int64(math.MaxInt64)          // of three: what the runtime has not yet freed only adds
			for range 3 {
				bare := heapOfConnections(t, false, test.waits)
				bound := heapOfConnections(t, true, test.waits)
				t.Logf("bare %d B, bound %d B: %d B more", bare, bound, bound-bare)
				least = min(least, bound-bare)
			}
			if least > test.most {
				t.Errorf("%d B more, want at most %d B", least, test.most)
			}
		})
	}
}

func heapOfConnections(t *testing.T, bound, waits bool) int64 {
	const connections = 2000
	w := newWorld(t, Config{
		Events: func(Event) {},
		Limits: Limits{Connections: connections, PerPrincipal: connections, PerAddress: connections},
	})
	hijacked, release := make(chan struct{}), make(chan struct{})
	h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
		}
		if waits {
			defer context.AfterFunc(r.Context(), func() {})()
			defer runtime.KeepAlive(r)
		}
		hijacked <- struct{}{}
		<-release
		_ = conn.Close()
	}))
	if bound {
		h = w.Handler(h)
	}
	h = w.auth.Handler(h)
	requests, writers := connectionsToOpen(t, connections)
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

// connectionsToOpen returns requests as net/http makes them, with a context that ends.
func connectionsToOpen(t *testing.T, n int) (requests []*http.Request, writers []*pipeWriter) {
	requests, writers = make([]*http.Request, n), make([]*pipeWriter, n)
	for i := range requests {
		p := ann
		p.SessionHandle = fmt.Sprint("session ", i)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), credential{}, p))
		t.Cleanup(cancel)
		requests[i] = handshake("").WithContext(ctx)
		_, server := net.Pipe()
		writers[i] = &pipeWriter{httptest.NewRecorder(), server}
	}
	return requests, writers
}
