package live

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// lingering is a connection that tells whether SO_LINGER was set to 0, by which its Close resets
// it.
type lingering struct {
	net.Conn
	reset chan int
}

func (c lingering) SetLinger(sec int) error { c.reset <- sec; return nil }

// Bytes that wait in the kernel are not for a peer whose credential was revoked or whose
// principal is forbidden: the connection is reset. A peer of another end may still read them.
func TestFinalEndOfAConnectionIsAReset(t *testing.T) {
	for _, test := range []struct {
		name   string
		causes []*Cause
		reset  bool
	}{
		{"revoked", []*Cause{Revoked}, true},
		{"forbidden", []*Cause{Forbidden}, true},
		{"other roles", []*Cause{Reauth.Wrap(Revoked)}, true},
		{"expired", []*Cause{Expired}, false},
		{"restart", []*Cause{Restart}, false},
		{"restart, then revoked", []*Cause{Restart, Revoked}, true},
		{"restart, then forbidden", []*Cause{Restart, Forbidden}, true},
		{"expired, then forbidden", []*Cause{Expired, Forbidden}, true},
		{"restart, then expired", []*Cause{Restart, Expired}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				h := w.front(hijacking(t, func(conn net.Conn, _ *http.Request) {
					_, _ = io.Copy(io.Discard, conn)
				}))
				client, server := net.Pipe()
				defer client.Close()
				go io.Copy(io.Discard, client) //nolint:errcheck // it reads the close frame, and does not answer
				reset := make(chan int, 9)
				go h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), lingering{server, reset}}, handshake("session"))
				synctest.Wait()
				for _, cause := range test.causes {
					w.endAll(cause)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				select {
				case sec := <-reset:
					if !test.reset || sec != 0 {
						t.Errorf("SO_LINGER is set to %d", sec)
					}
				default:
					if test.reset {
						t.Error("it is not reset")
					}
				}
			})
		})
	}
}

// The same for a body over HTTP/1.1 whose client does not read, on a server of
// middleware.NewServer, whether its handler waits in a write or gives up at the end.
func TestFinalEndOfABodyIsAReset(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		cause *Cause
		reset bool
	}{
		{"revoked", Revoked, true},
		{"forbidden", Forbidden, true},
		{"expired", Expired, false},
	} {
		for name, body := range map[string]func(rw http.ResponseWriter, r *http.Request){
			"waits in a write": func(rw http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			},
			"gives up": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		} {
			for _, secured := range []bool{false, true} {
				t.Run(test.name+", the handler "+name+map[bool]string{true: ", TLS"}[secured], func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, Config{Timeouts: Timeouts{Grace: 50 * time.Millisecond}})
					returned, read := make(chan struct{}), make(chan struct{})
					s := httptest.NewUnstartedServer(nil)
					s.Config = middleware.NewServer("", w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						defer close(returned)
						_, _ = rw.Write(make([]byte, 64<<10))
						rw.(http.Flusher).Flush()
						go func() { <-read; w.endAll(test.cause) }() // a write waits, or not yet: either is cut
						body(rw, r)
					})))
					s.Config.TLSConfig = nil // httptest has its own
					if secured {
						s.StartTLS()
					} else {
						s.Start()
					}
					defer s.Close()
					raw := dialRaw(t, s)
					conn := net.Conn(raw)
					if secured {
						conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server of this test
					}
					if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nSession: session\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					_, err := io.ReadFull(conn, make([]byte, 1))
					if close(read); err != nil {
						t.Fatal(err)
					}
					received(t, "the handler's return", returned)
					if n, err := io.Copy(io.Discard, raw); errors.Is(err, syscall.ECONNRESET) != test.reset {
						t.Errorf("%d B, then %v; want a reset: %v", n, err, test.reset)
					}
					w.settled()
				})
			}
		}
	}
}
