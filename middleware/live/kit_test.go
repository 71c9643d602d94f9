package live

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// front is an Auth in front of the layer: the header Session names the session of ann.
func (w *world) front(next http.Handler) http.Handler { return w.frontAlone(w.Handler(next)) }

// frontAlone is front without the layer.
func (w *world) frontAlone(next http.Handler) http.Handler {
	bound := w.auth.Handler(next)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p := with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = r.Header.Get("Session"), "" })
		rw.Header().Set("X-Outer", "of a layer in front")
		bound.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), credential{}, p)))
	})
}

func (w *world) signOut(session string) {
	w.store.revoke(middleware.Revocation{SessionHandle: session})
}

// patience bounds the wait for an event that comes at once, except on a busy machine.
const patience = time.Minute

// settled waits until all members have left, and wants that nothing is left of them.
func (w *world) settled() {
	w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.Registry.mu.Lock()
		awaited := w.awaited
		w.Registry.mu.Unlock()
		if awaited == 0 { // the last step of Leave
			break
		}
	}
	w.wantEmpty()
}

// pipeWriter is a response whose connection is one end of a net.Pipe.
type pipeWriter struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (w *pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

func handshake(session string) *http.Request {
	r := requestFrom("192.0.2.1:1234")
	r.Header.Set("Session", session)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return r
}

// dial has the handler serve a handshake over a pipe, and returns the client's end.
func (w *world) dial(h http.Handler, session string) (client net.Conn, returned <-chan struct{}) {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), server}, handshake(session))
	}()
	return client, done
}

// hijacking takes the connection over, and calls fn with it.
func hijacking(t *testing.T, fn func(conn net.Conn, r *http.Request)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fn(conn, r)
	})
}

// received waits for a value of a channel, or until it is closed.
func received[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Errorf("%s: not within %v", what, patience)
	}
	return v
}

// readHead reads the head of a response byte by byte, and nothing behind it.
func readHead(conn net.Conn) (*http.Response, error) {
	var b []byte
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		c := make([]byte, 1)
		if _, err := conn.Read(c); err != nil {
			return nil, err
		}
		b = append(b, c...)
	}
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
}

func dialRaw(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}
