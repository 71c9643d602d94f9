package live

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/internal/contextkey"
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

// A handler that notices the end only after one more part of its body has not completed it.
func TestBoundBodyThatIsLeftDoesNotLookComplete(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := newWorld(t, Config{})
		s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.(http.Flusher).Flush()
			_, _ = rw.Write([]byte("1,"))
			w.signOut("session")
			<-r.Context().Done()
			_, _ = rw.Write([]byte("2,")) // it was on its way
		})), "plain")
		res, body := get(t, s, "session", method)
		if res == nil {
			t.Fatal(body())
		}
		if got, err := body(); err == nil {
			t.Errorf("%s: %q looks complete", method, got)
		}
		w.settled()
	}
}

// A response that ended before a handler took it over, as a ws.Handler does, is refused all
// the same.
func TestBoundEndBeforeTheYield(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.signOut("session")
		<-r.Context().Done()
		r.Context().Value(contextkey.Layer{}).(contextkey.Yielder).Yield(contextkey.Key(), w.auth)
		http.Error(rw, "refused", http.StatusForbidden)
	}))
	if rec := answer(h, handshake("session")); rec.Code != http.StatusUnauthorized {
		t.Errorf("%d %s, want 401", rec.Code, rec.Body)
	}
	w.settled()
}
