package live

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/securews/securews/middleware"
)

// The line of a response in the access log says why the layer has ended it, by code and reason of
// the close frame (RFC 6455 §7.4).
func TestAccessLogSaysWhyAResponseEnded(t *testing.T) {
	wait := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, test := range []struct {
		name    string
		cause   *Cause
		handler func(rw http.ResponseWriter, r *http.Request)
		want    string
	}{
		{
			"an event stream", Revoked, func(rw http.ResponseWriter, r *http.Request) { beginEvents(rw); wait(rw, r) },
			"end.code=3000 end.reason=revoked",
		},
		{
			"a download, aborted", Forbidden,
			func(rw http.ResponseWriter, r *http.Request) { _, _ = rw.Write([]byte("half")); wait(rw, r) },
			"panic=true end.code=3003 end.reason=forbidden",
		},
		{"a long poll, refused", Expired, wait, "end.code=3000 end.reason=expired"},
		{
			"with the error behind it", Later.Wrap(errors.New("the store is down")),
			wait, `end.code=1013 end.reason=later end.cause="the store is down"`,
		},
		{"a WebSocket", Revoked, func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err == nil {
				_, err = io.Copy(io.Discard, conn)
			}
			if !errors.Is(err, Revoked) {
				t.Error(err)
			}
		}, "end.code=3000 end.reason=revoked"},
		{"a response that no cause has ended", nil, func(http.ResponseWriter, *http.Request) {}, "client=192.0.2.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				log := &lockedBuffer{}
				h := middleware.AccessLog(slog.New(slog.NewTextHandler(log, nil)))(w.front(http.HandlerFunc(test.handler)))
				client, server := net.Pipe()
				go io.Copy(io.Discard, client) //nolint:errcheck // it reads the close frame
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }() // as net/http does
					r := request("session", http.MethodGet)
					if test.name == "a WebSocket" {
						r = handshake("session")
					}
					h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), server}, r)
				}()
				synctest.Wait()
				if test.cause != nil {
					w.endAll(test.cause)
				}
				<-done
				_ = client.Close()
				line := strings.TrimSuffix(log.String(), "\n")
				if !strings.Contains(line, test.want) || test.cause == nil && strings.Contains(line, "end.") ||
					strings.Contains(line, "\n") {
					t.Errorf("%s\nwant %s", line, test.want)
				}
			})
		})
	}
}
