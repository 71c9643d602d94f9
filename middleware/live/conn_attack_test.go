package live

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// stuckCloser is a connection whose CloseWrite waits, as that of TLS does for a peer that
// does not read.
type stuckCloser struct {
	net.Conn
	called, release chan struct{}
}

func (c *stuckCloser) CloseWrite() error {
	close(c.called)
	<-c.release
	return nil
}

// A CloseWrite that waits does not hold up the revocation of all the others.
func TestBoundCloseWriteHoldsNoRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: 100 * time.Millisecond}})
	client, server := net.Pipe()
	defer client.Close()
	stuck := &stuckCloser{server, make(chan struct{}), make(chan struct{})}
	h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}))
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), stuck}, handshake("session"))
	}()
	within10s(t, "CloseWrite", stuck.called)
	told := make(chan struct{})
	go func() { w.signOut("session"); close(told) }()
	within10s(t, "the revocation", told)
	w.settled() // cut at the grace
	close(stuck.release)
	within10s(t, "the handler's return", returned)
}

// A response that is cut while its handler hijacks it harms nothing.
func TestBoundCutWhileHijacking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	client, server := net.Pipe()
	defer client.Close()
	h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		x := rw.(response1).response
		if err := x.enter(); err != nil {
			t.Error(err)
		}
		c := &conn{Conn: server, w: x, handshake: true}
		x.life.Lock()
		x.conn = c
		x.life.Unlock()
		x.cut()
		c.end(Expired)
		if !c.closed || c.closing.Load() != nil {
			t.Error("it is not cut")
		}
	}))
	h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), server}, handshake("session").WithContext(context.Background()))
	w.settled()
}
