package live

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/internal/contextkey"
)

// A response that is cut while its handler hijacks it harms nothing.
func TestCutDuringHijackClosesTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	client, server := net.Pipe()
	defer client.Close()
	h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		x := rw.(response1).response
		if err := x.enter(); err != nil {
			t.Error(err)
		}
		c := &conn{Conn: server, w: x}
		x.mu.Lock()
		x.conn = c
		x.mu.Unlock()
		x.cut()
		c.end(Expired)
		if !c.closed || c.closing.Load() != nil {
			t.Error("it is not cut")
		}
	}))
	h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), server}, handshake("session").WithContext(context.Background()))
	w.settled()
}

// A response that ended before a handler took it over, as a ws.Handler does, is refused
// anyway.
func TestEndBeforeTheYieldIsAnswered(t *testing.T) {
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
