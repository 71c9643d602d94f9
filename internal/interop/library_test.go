package interop

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	xnet "golang.org/x/net/websocket"

	"github.com/securews/securews/middleware/live"
)

// library upgrades and echoes; the result is the error of its read, which ended the handler.
type library struct {
	name string
	echo func(compress bool, rw http.ResponseWriter, r *http.Request) error
	code func(error) int // of the close frame that the handler has read; nil: the library does not tell
}

// libraries are those that package live does not test itself; it has the same tests with
// coder/websocket.
var libraries = []library{
	{"gorilla", echoGorilla, gorillaCode},
	{"x/net", echoXNet, nil},
}

func echoGorilla(compress bool, rw http.ResponseWriter, r *http.Request) error {
	return echoOver(websocket.Upgrader{EnableCompression: compress, CheckOrigin: func(*http.Request) bool { return true }}, rw, r)
}

func echoOver(up websocket.Upgrader, rw http.ResponseWriter, r *http.Request) error {
	c, err := up.Upgrade(rw, r, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		kind, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.WriteMessage(kind, p); err != nil {
			return err
		}
	}
}

func echoXNet(_ bool, rw http.ResponseWriter, r *http.Request) (err error) {
	s := xnet.Server{Handler: func(c *xnet.Conn) {
		for err == nil {
			var p []byte
			if err = xnet.Message.Receive(c, &p); err == nil {
				err = xnet.Message.Send(c, p)
			}
		}
	}}
	s.ServeHTTP(rw, r)
	return err
}

func echoes(t *testing.T, c *websocket.Conn, size int) {
	t.Helper()
	want := bytes.Repeat([]byte("a"), size)
	if err := c.WriteMessage(websocket.BinaryMessage, want); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("echo of %d B: %d B, %v", size, len(got), err)
	}
}

// The codes are those of RFC 6455 §7.4.2 for applications, and 1012 of IANA's registry.
var endings = []struct {
	name   string
	end    func(w *world, session string)
	code   int
	reason string
}{
	{"revoked", (*world).signOut, 3000, "revoked"},
	{"expired", func(w *world, _ string) { w.endAll(live.Expired) }, 3000, "expired"},
	{"restart", func(w *world, _ string) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			w.t.Error(err)
		}
	}, 1012, "restart"},
}

// Every library, plain and over TLS, with compression and without: the client reads code and
// reason, the handler ends by its normal path, the 101 has the header of outer layers, and
// nothing is left.
func TestLibrariesEndWithTheirCredential(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		for _, kind := range []string{"plain", "TLS"} {
			for _, compress := range []bool{false, true} {
				for _, ending := range endings {
					name := lib.name + "/" + kind + "/" + map[bool]string{false: "uncompressed", true: "compressed"}[compress] + "/" +
						ending.name
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						w := newWorld(t, live.Config{Timeouts: live.Timeouts{Grace: patience, Spread: time.Millisecond}})
						errs := make(chan error, 1)
						s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							errs <- lib.echo(compress, rw, r)
						})), kind)
						c, resp := w.connect(s, "session", compress)
						if resp.Header.Get("X-Outer") == "" {
							t.Error("the header of an outer layer is not on the 101")
						}
						echoes(t, c, 100)
						echoes(t, c, 70_000)
						ended := make(chan struct{})
						go func() { ending.end(w, "session"); close(ended) }()
						wantClosed(t, c, ending.code, ending.reason)
						err := received(t, "the handler's end", errs)
						if lib.code != nil && lib.code(err) != ending.code {
							t.Errorf("the handler has read %v, want the close frame %d", err, ending.code)
						}
						received(t, "the call that ends it", ended)
						w.settled()
					})
				}
			}
		}
	}
}

// A handler that returns while its connection lives stays bound until the connection is
// closed.
func TestConnectionOfGorillaOutlivesItsHandler(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Config{})
	conns, returned := make(chan *websocket.Conn, 1), make(chan struct{})
	front := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(rw, r, nil)
		if err != nil {
			t.Error(err)
		}
		conns <- c
	}))
	s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		front.ServeHTTP(rw, r)
		close(returned)
	}), "TLS")
	c, _ := w.connect(s, "session", false)
	server := received(t, "the upgrade", conns)
	received(t, "the handler's return", returned)
	if open := w.List(ann.Issuer, ann.Subject); len(open) != 1 {
		t.Errorf("%d members, want 1", len(open))
	}
	w.signOut("session")
	wantClosed(t, c, 3000, "revoked")
	if _, _, err := server.ReadMessage(); gorillaCode(err) != 3000 {
		t.Errorf("the handler's goroutine reads %v", err)
	}
	w.settled()
	if n := w.Stats().Closes[live.Revoked].Count; n != 1 {
		t.Errorf("the close frame is counted %d times", n)
	}
}

// A backend of gorilla behind httputil.ReverseProxy, without any layer, reads the same close
// frame as the client.
func TestReverseProxyEndsBothSidesOfGorilla(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Config{})
	errs := make(chan error, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { errs <- echoGorilla(true, rw, r) }))
	defer backend.Close()
	to, err := url.Parse(backend.URL)
	must(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	c, resp := w.connect(serve(t, w.front(proxy), "TLS"), "session", true)
	if resp.Header.Get("X-Outer") == "" {
		t.Error("the header of an outer layer is not on the 101")
	}
	echoes(t, c, 70_000)
	w.signOut("session")
	wantClosed(t, c, 3000, "revoked")
	if err := received(t, "the backend's end", errs); gorillaCode(err) != 3000 {
		t.Errorf("the backend has read %v", err)
	}
	w.settled()
}
