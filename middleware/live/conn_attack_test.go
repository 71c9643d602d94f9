package live

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
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
		c := &conn{Conn: server, w: x}
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

// After the end, what a handler writes together with the head by hand is not passed on; and
// a head with bare line feeds is not kept for ever.
func TestBoundHeadByHand(t *testing.T) {
	t.Parallel()
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
	for _, test := range []struct {
		text, want string
		ended      bool
	}{
		{head + "\x81\x05hello", head[:len(head)-2] + "X-Outer: of a layer in front\r\n\r\n" + "\x88\x09\x0b\xb8revoked", true},
		{"HTTP/1.1 200 OK\r\n\r\nhello", "", true},
		{"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n", "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n", false},
	} {
		w := newWorld(t, Config{Timeouts: Timeouts{Grace: 200 * time.Millisecond}})
		client, _ := w.dial(w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if test.ended {
				for _, b := range w.index.list(key{bySession, "", ann.SessionHandle}) {
					b.end(Revoked)
				}
			}
			_, _ = conn.Write([]byte(test.text))
		})), ann.SessionHandle)
		_ = client.SetDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(client)
		if err != nil || string(got) != test.want {
			t.Errorf("%q: read %q, %v, want %q", test.text, got, err, test.want)
		}
	}
}

// A POST that has perhaps had its effect is aborted, also if the revocation is found only
// when it enters.
func TestBoundPostIsNotRefusedLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	s := serve(t, w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.join(with(ann, func(p *middleware.Principal) { p.SessionHandle = "other" })).Leave(nil) // the Auth is followed
		w.signOut("session")
		<-r.Context().Done()
	})), "plain")
	if res, _ := get(t, s, "session", http.MethodPost); res != nil {
		t.Errorf("%d, want no answer", res.StatusCode)
	}
	w.settled()
}
