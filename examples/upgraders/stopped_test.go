//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// curl is stopped in the middle of a stream, until the handler waits in a write, and then the
// user signs out. On HTTP/1.1 the write is cut, though curl reads nothing; on HTTP/2 when it
// reads again, since the reset of the stream waits, too. curl reports an incomplete response,
// and no damaged record.
func TestStreamEndsThoughTheClientIsStopped(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"TLS", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var written atomic.Int64
			stopped := make(chan struct{})
			s := newStreamWorld(t, kind, func(rw http.ResponseWriter, _ *http.Request) {
				_ = say(rw, 0)
				<-stopped
				event := ":" + strings.Repeat(" ", 64<<10) + "\n\n" // for most of the buffers of TCP
				for i := 0; ; i++ {
					if i == 48 {
						event = "data: a short event\n\n"
					}
					if _, err := io.WriteString(rw, event); err != nil {
						return
					}
					_ = http.NewResponseController(rw).Flush()
					written.Add(1)
				}
			}, nil, nil)
			server := ownServer(s.site, kind)
			defer server.Close()

			cookie := s.login("ann")
			c := startCurl(t, server.URL+"/stream", versionOf[kind], cookie)
			received(t, "the first write", s.began)
			if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			close(stopped)
			wantStuck(t, &written)
			s.logout(cookie)
			select {
			case <-s.returned:
				s.returned <- struct{}{}
			case <-time.After(3 * time.Second): // two graces are 400 ms
				if kind == "TLS" {
					t.Error("the handler still waits in its write")
				}
			}
			_ = c.cmd.Process.Signal(syscall.SIGCONT)
			got := c.wait()
			// it waited for a moment only
			ended := got.curl.exit == 0 && strings.HasSuffix(string(got.body), farewell)
			// 56: TCP was reset
			if exit := got.curl.exit; !ended && (exit != 92 || kind != "HTTP/2") && (exit != 18 && exit != 56 || kind != "TLS") {
				t.Errorf("curl's exit code is %d: %s", exit, got.curl.error)
			}
			wantNoBrokenRecord(t, got)
			received(t, "the handler's return", s.returned)
			s.settled("ann")
		})
	}
}

// wantStuck returns when a handler that counts its writes waits in one.
func wantStuck(t *testing.T, written *atomic.Int64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for before := int64(0); before == 0 || before != written.Load(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the handler does not wait after %d writes", before)
		}
		before = written.Load()
	}
}

// ownServer serves the site on a server of middleware.NewServer.
func ownServer(s *site, kind string) *httptest.Server {
	server := httptest.NewUnstartedServer(nil)
	server.Config = middleware.NewServer("", s)
	server.Config.TLSConfig = nil // httptest has one of its own
	server.EnableHTTP2 = kind == "HTTP/2"
	server.StartTLS()
	return server
}
