package live

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ours "github.com/securews/securews/middleware"
)

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn chan net.Conn
	once sync.Once
}

func listenerOf(c net.Conn) *oneConn {
	l := &oneConn{conn: make(chan net.Conn, 1)}
	l.conn <- c
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error { l.once.Do(func() { close(l.conn) }); return nil }

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// The client of HTTP/1.1 over TLS has not read since before the logout, so a write of the
// handler waits and is cut. The record of that write is missing, and a TLS alert behind it
// would be of the wrong number: "bad record MAC". The client reads the end of TCP instead.
func TestCutOfAWaitingWriteDamagesNoRecord(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	certificates, quiet := s.TLS.Certificates, slog.New(slog.DiscardHandler)
	s.Close()
	for name, front := range map[string]func(http.Handler) http.Handler{
		"bare":                          func(h http.Handler) http.Handler { return h },
		"AccessLog and Recover outside": func(h http.Handler) http.Handler { return ours.AccessLog(quiet)(ours.Recover(quiet)(h)) },
	} {
		for after, leave := range map[string]func(){
			"returns": func() {},
			"panics":  func() { panic(http.ErrAbortHandler) },
		} {
			t.Run(name+", the handler "+after, func(t *testing.T) {
				inBubble(t, Config{}, func(t *testing.T, w *world) {
					var cut error
					server := ours.NewServer("", front(w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
						beginEvents(rw)
						for cut == nil {
							_, cut = io.WriteString(rw, "data: 2\n\n")
							rw.(http.Flusher).Flush()
						}
						leave()
					}))))
					here, there := net.Pipe()
					//nolint:errcheck // it is closed below
					go server.Serve(tls.NewListener(listenerOf(there), &tls.Config{Certificates: certificates}))
					defer server.Close()
					client := tls.Client(here, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server of this test
					if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\nSession: session\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					res, err := http.ReadResponse(bufio.NewReader(client), nil)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // the next write waits
					w.signOut("session")
					time.Sleep(2*time.Second + time.Millisecond)
					synctest.Wait()
					if w.open.Load() != 0 {
						t.Error("the handler has not returned")
					}
					if got, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("read %q, %v", got, err)
					}
				})
			})
		}
	}
}
