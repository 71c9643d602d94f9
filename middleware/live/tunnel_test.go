//lint:file-ignore SA1019 The Transport of net/http refuses the pseudo-header :protocol.

package live

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// A WebSocket over HTTP/2 (RFC 8441), and any other CONNECT, is a tunnel: at the end its
// stream is reset at once, with no event and no problem in it.
func TestTunnelIsResetAtTheEnd(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), "http2xconnect=1") { // net/http reads it at its start
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTunnelIsResetAtTheEnd$", "-test.v") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	frame := buildFrame(0x81, []byte("hello"), false)
	begin := func(rw http.ResponseWriter) {
		_, _ = rw.Write(frame)
		_ = http.NewResponseController(rw).Flush()
	}
	for _, test := range []struct {
		name    string
		handler func(rw http.ResponseWriter, r *http.Request)
		status  int // 0: none
		body    string
	}{
		{"it obeys its context", func(rw http.ResponseWriter, r *http.Request) { begin(rw); <-r.Context().Done() }, 200, string(frame)},
		{"it writes on", func(rw http.ResponseWriter, r *http.Request) {
			begin(rw)
			<-r.Context().Done()
			for err := error(nil); err == nil; _, err = rw.Write(make([]byte, 1<<16)) {
				time.Sleep(time.Millisecond)
			}
		}, 200, string(frame)},
		{"it reads", func(rw http.ResponseWriter, r *http.Request) { begin(rw); _, _ = io.Copy(io.Discard, r.Body) }, 200, string(frame)},
		{"it waits in a write", func(rw http.ResponseWriter, _ *http.Request) {
			begin(rw)
			for err := error(nil); err == nil; _, err = rw.Write(make([]byte, 1<<20)) {
			}
		}, 200, string(frame)},
		{"it says that it sends events", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			begin(rw)
			<-r.Context().Done()
		}, 200, string(frame)},
		{"it has sent a header alone", func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusOK); <-r.Context().Done() }, 0, ""},
		{"it has sent nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, ""},
		{"it answers late", func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); begin(rw) }, 0, ""},
	} {
		for _, protocol := range []string{"", "websocket"} {
			t.Run(test.name+", "+protocol, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, Config{Timeouts: Timeouts{Grace: time.Minute}})
				entered := make(chan struct{})
				s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					r.Context().Done()
					close(entered)
					test.handler(rw, r)
				})), "HTTP/2")
				res := connect(t, s.URL, protocol, len(test.body), func() { within10s(t, "the entry", entered); w.signOut("session") })
				if res.status != test.status || !strings.HasPrefix(res.body, test.body) || strings.Trim(res.body[len(test.body):], "\x00") != "" || !strings.Contains(res.err, "stream error") {
					t.Errorf("%d %.100q %s, want %d %q and a reset", res.status, res.body, res.err, test.status, test.body)
				}
				w.settled()
			})
		}
	}
}

type tunnelled struct {
	status    int
	body, err string
}

// connect opens a tunnel, and reads until it ends. The end begins when the first bytes have
// been read, or at once if there are none.
func connect(t *testing.T, url, protocol string, first int, end func()) (got tunnelled) {
	t.Helper()
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the server of this test
	defer transport.CloseIdleConnections()
	up, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, url, up)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Session", "session")
	if protocol != "" {
		r.Header[":protocol"] = []string{protocol}
		r.URL.Path = "/"
	}
	if first == 0 {
		go end()
	}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return tunnelled{err: err.Error()}
	}
	defer res.Body.Close()
	began := make([]byte, first)
	if _, err := io.ReadFull(res.Body, began); err != nil {
		t.Error(err)
	}
	if first > 0 {
		end()
	}
	body, err := io.ReadAll(res.Body)
	got = tunnelled{status: res.StatusCode, body: string(began) + string(body)}
	if err != nil {
		got.err = err.Error()
	}
	return got
}
