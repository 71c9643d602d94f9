package live

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	coder "github.com/coder/websocket"
)

// A library upgrades and echoes; the result is the error of its read, which ended the
// handler.
type library struct {
	name string
	echo func(compress bool, rw http.ResponseWriter, r *http.Request) error
	code func(error) int // of the close frame that the handler has read; 0: none
}

// libraries are those of coder, and a handler without one. The module internal/interop has the
// same tests with gorilla and x/net.

var libraries = []library{
	{"coder, reading with a context of its own", echoCoder(func(*http.Request) context.Context { return context.Background() }), coderCode},
	{"coder, reading with the context of the request", echoCoder((*http.Request).Context), coderCode},
	{"by hand, with a 101 written to the connection", echoByHand, codeByHand},
}

func coderCode(err error) int { return int(coder.CloseStatus(err)) }

func codeByHand(err error) int {
	var e *WireClosed
	if errors.As(err, &e) {
		return int(e.Code)
	}
	return 0
}

func echoCoder(ctx func(*http.Request) context.Context) func(bool, http.ResponseWriter, *http.Request) error {
	return func(compress bool, rw http.ResponseWriter, r *http.Request) error {
		mode := coder.CompressionDisabled
		if compress {
			mode = coder.CompressionContextTakeover
		}
		c, err := coder.Accept(rw, r, &coder.AcceptOptions{CompressionMode: mode, InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			kind, p, err := c.Read(ctx(r))
			if err != nil {
				return err
			}
			if err := c.Write(ctx(r), kind, p); err != nil {
				return err
			}
		}
	}
}

func echoByHand(_ bool, rw http.ResponseWriter, r *http.Request) error {
	c, err := UpgradeWire(rw, r)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		kind, p, err := c.Receive()
		if err != nil {
			return err
		}
		if err := c.Send(kind, p); err != nil {
			return err
		}
	}
}

// serve runs the handler on a server of the given kind.
func serve(t *testing.T, h http.Handler, kind string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	switch kind {
	case "plain":
		s.Start()
	case "HTTP/2":
		s.EnableHTTP2 = true
		s.StartTLS()
	default:
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func (w *world) connect(s *httptest.Server, session string, compress bool) (*coder.Conn, *http.Response) {
	w.t.Helper()
	options := &coder.DialOptions{HTTPClient: s.Client(), HTTPHeader: http.Header{"Session": {session}, "Origin": {s.URL}}}
	if compress {
		options.CompressionMode = coder.CompressionContextTakeover
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	c, resp, err := coder.Dial(ctx, s.URL, options)
	if err != nil {
		w.t.Fatal(err, resp)
	}
	c.SetReadLimit(1 << 20)
	return c, resp
}

func echoes(t *testing.T, c *coder.Conn, size int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	want := bytes.Repeat([]byte("a"), size)
	if err := c.Write(ctx, coder.MessageBinary, want); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("echo of %d B: %d B, %v", size, len(got), err)
	}
}

func wantClosed(t *testing.T, c *coder.Conn, code int, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := c.Read(ctx)
	var e coder.CloseError
	if !errors.As(err, &e) || int(e.Code) != code || e.Reason != reason {
		t.Errorf("the client has read %v, want %d %s", err, code, reason)
	}
}

var endings = []struct {
	name   string
	end    func(w *world, session string)
	code   int
	reason string
}{
	{"revoked", (*world).signOut, 3000, "revoked"},
	{"expired", func(w *world, _ string) { w.endAll(Expired) }, 3000, "expired"},
	{"restart", func(w *world, _ string) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			w.t.Error(err)
		}
	}, 1012, "restart"},
}

// endAll ends all members of ann.
func (w *world) endAll(cause *Cause) {
	for _, b := range w.index.subject(ann.Issuer, ann.Subject) {
		b.end(cause)
	}
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
						w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience, Spread: time.Millisecond}})
						errs := make(chan error, 1)
						s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							errs <- lib.echo(compress, rw, r)
						})), kind)
						c, resp := w.connect(s, "session", compress)
						defer c.CloseNow()
						if resp.Header.Get("X-Outer") == "" {
							t.Error("the header of an outer layer is not on the 101")
						}
						echoes(t, c, 100)
						echoes(t, c, 70_000)
						go ending.end(w, "session")
						wantClosed(t, c, ending.code, ending.reason)
						err := received(t, "the handler's end", errs)
						if lib.code(err) != ending.code {
							t.Errorf("the handler has read %v, want the close frame %d", err, ending.code)
						}
						w.settled()
					})
				}
			}
		}
	}
}
