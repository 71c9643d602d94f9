package live

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
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
func TestCloseWriteThatWaitsHoldsUpNoRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: 100 * time.Millisecond}})
	client, server := net.Pipe()
	defer client.Close()
	stuck := &stuckCloser{server, make(chan struct{}), make(chan struct{})}
	h := w.front(hijacking(t, func(conn net.Conn, _ *http.Request) {
		defer conn.Close()
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}))
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), stuck}, handshake("session"))
	}()
	received(t, "CloseWrite", stuck.called)
	told := make(chan struct{})
	go func() { w.signOut("session"); close(told) }()
	received(t, "the revocation", told)
	w.settled() // cut at the grace
	close(stuck.release)
	received(t, "the handler's return", returned)
}

// A handler writes the head to the connection. After the end, the frames of the same Write are
// not passed on. A head with bare line feeds is passed on at once.
func TestHandlerWritesTheHeadItself(t *testing.T) {
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
		inBubble(t, Config{}, func(t *testing.T, w *world) {
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
		})
	}
}

// A handler that returns while its connection lives, as those of gws do, stays bound until
// the connection is closed.
func TestConnectionOutlivesItsHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience}})
	conns := make(chan *Wire, 1)
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := UpgradeWire(rw, r)
		if err != nil {
			t.Error(err)
		}
		conns <- c
	})), "TLS")
	c, _ := w.connect(s, "session", false)
	defer c.CloseNow()
	server := received(t, "the upgrade", conns)
	time.Sleep(20 * time.Millisecond)
	if n := w.open.Load(); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
	w.signOut("session")
	wantClosed(t, c, 3000, "revoked")
	if _, _, err := server.Receive(); codeByHand(err) != 3000 {
		t.Errorf("the handler's goroutine reads %v", err)
	}
	w.settled()
}

// Whether a handler reads, closes, sets deadlines or does nothing at the end of its
// connection, the client gets the close frame, TCP stays for the grace, and the context ends.
func TestClientGetsTheCloseFrameWhateverTheHandlerDoes(t *testing.T) {
	for name, handler := range map[string]func(conn net.Conn, r *http.Request){
		"it closes at once": func(conn net.Conn, _ *http.Request) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		},
		"it sets deadlines in the past": func(conn net.Conn, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.SetDeadline(time.Unix(1, 0))
				_ = conn.SetReadDeadline(time.Unix(1, 0))
				_ = conn.SetWriteDeadline(time.Unix(1, 0))
				time.Sleep(10 * time.Millisecond)
			}
		},
		"it waits for the context alone": func(_ net.Conn, r *http.Request) { <-r.Context().Done() },
		"it writes alone": func(conn net.Conn, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := conn.Write(buildFrame(0x81, nil, false)); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
		"it has closed by a close frame of its own": func(conn net.Conn, r *http.Request) {
			<-r.Context().Done()
			_, _ = conn.Write(buildFrame(0x88, []byte{3, 232}, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				var cause error
				h := w.front(hijacking(t, func(conn net.Conn, r *http.Request) {
					handler(conn, r)
					<-r.Context().Done()
					cause = context.Cause(r.Context())
				}))
				client, returned := w.dial(h, "session")
				defer client.Close()
				began := time.Now()
				time.AfterFunc(time.Second, func() { w.signOut("session") })
				if _, code, reason, err := readEnding(client); code != 3000 || reason != "revoked" || err != nil {
					t.Errorf("%d %q, %v", code, reason, err)
				}
				if took := time.Since(began); took != 2*time.Second { // readEnding waits for TCP
					t.Errorf("TCP ended after %v, want 1 s until the end and 1 s of grace", took)
				}
				<-returned
				if took := time.Since(began); !errors.Is(cause, Revoked) || took > 2*time.Second {
					t.Errorf("the context ended with %v, after %v", cause, took)
				}
			})
		})
	}
}

// A peer that answers the close frame does not wait for the grace.
func TestAnsweredCloseEndsAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		h := w.front(hijacking(t, func(conn net.Conn, _ *http.Request) {
			_, _ = io.Copy(io.Discard, conn)
		}))
		client, _ := w.dial(h, "session")
		defer client.Close()
		synctest.Wait()
		began := time.Now()
		w.signOut("session")
		if _, code, _, err := readEnding(&answering{Conn: client}); code != 3000 || err != nil {
			t.Errorf("%d, %v", code, err)
		}
		synctest.Wait()
		if took := time.Since(began); took != 0 || w.open.Load() != 0 {
			t.Errorf("%v, %d members", took, w.open.Load())
		}
	})
}
