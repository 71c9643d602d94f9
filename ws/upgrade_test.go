package ws_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// RFC 6455 §4.2.2 spells the names so, and small clients compare them letter by letter.
func TestHeadersOf101AreSpeltAsInTheRFC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := servePlain(t, handler(t, ws.Config{Subprotocols: []string{"chat"}, DangerouslyAllowPlaintext: true}))
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, edited("Sec-WebSocket-Protocol: chat")); err != nil {
			t.Fatal(err)
		}
		head := ""
		for r := bufio.NewReader(conn); !strings.HasSuffix(head, "\r\n\r\n"); {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			head += line
		}
		for _, line := range []string{
			"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: chat",
		} {
			if strings.Count(head, line+"\r\n") != 1 {
				t.Errorf("no line %q in:\n%s", line, head)
			}
		}
		if strings.Contains(head, "Websocket") {
			t.Errorf("a name in net/http's spelling:\n%s", head)
		}
	})
}

// watcher is what loggers and tracers of other people wrap around.
type watcher struct {
	unwrapped
	status *[]int
}

func (w watcher) WriteHeader(status int) {
	*w.status = append(*w.status, status)
	w.unwrapped.WriteHeader(status)
}

// late is a writer that sends its header when it is told to, as gin's does.
type late struct {
	watcher
	header *int
}

func (w late) WriteHeader(status int) { *w.header = status }
func (w late) WriteHeaderNow()        { w.watcher.WriteHeader(*w.header) }

func TestOuterLayersSee101(t *testing.T) {
	for sentence, wrap := range map[string]func(watcher) http.ResponseWriter{
		"a wrapper":                    func(w watcher) http.ResponseWriter { return w },
		"one that writes headers late": func(w watcher) http.ResponseWriter { return late{w, new(int)} },
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var status []int
				h := handler(t, ws.Config{DangerouslyAllowPlaintext: true})
				l := servePlain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(wrap(watcher{unwrapped{w}, &status}), r)
				}))
				conn, err := l.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				wantEcho(t, conn, true)
				_ = conn.Close()
				synctest.Wait()
				if len(status) != 1 || status[0] != http.StatusSwitchingProtocols {
					t.Errorf("status %v, want 101 once", status)
				}
			})
		})
	}
}

// slowHijack is a writer whose Hijack takes long, as on a busy machine.
type slowHijack struct{ unwrapped }

func (w slowHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.unwrapped).Hijack()
	time.Sleep(3 * time.Second)
	return conn, rw, err
}

// A client that has its 101 keeps the connection, however long the server takes afterwards.
func TestConnectionOutlivesASlowHijack(t *testing.T) {
	for sentence, test := range map[string]struct {
		line, say, want string
	}{
		"a member":           {"X-User: ann", string(closing(1000, "")), "\x88\x02\x03\xe8"}, // RFC 6455 §5.5.1
		"a readable refusal": {"X-User:", "", "\x88\x08\x0b\xb8reauth"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t, ws.Config{DangerouslyAllowPlaintext: true, ExplainRefusals: true, Auth: auth(t, user{})})
				l := servePlain(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(slowHijack{unwrapped{w}}, r)
				}))
				conn, err := l.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, edited(test.line)+test.say)
				b, err := io.ReadAll(conn)
				if !strings.HasSuffix(string(b), "\r\n\r\n"+test.want) || err != nil {
					t.Errorf("read %q, %v; want a 101, then % x", b, err, test.want)
				}
				_ = conn.Close()
			})
		})
	}
}

// alsoInternal serves /internal beside a handler.
func alsoInternal(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", h)
	mux.HandleFunc("/internal", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") })
	return mux
}

// forgiving keeps every panic to itself.
func forgiving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		h.ServeHTTP(w, r)
	})
}

// broken is a writer that can be unwrapped, and whose Hijack fails.
type broken struct{ unwrapped }

func (broken) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("hijack: out of order")
}

// A proxy may take the connection for a tunnel without a look at the answer: requests behind
// a failed handshake are not served.
func TestNothingIsServedBehindAFailedHandshake(t *testing.T) {
	breaking := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ws" {
				w = broken{unwrapped{w}}
			}
			h.ServeHTTP(w, r)
		})
	}
	for _, tt := range []struct {
		sentence string
		layers   []middleware.Middleware
		edits    []string
		status   string // "": no answer
	}{
		{"refused for its version", nil, []string{"Sec-WebSocket-Version: 1337"}, "426"},
		{"refused for its origin", nil, []string{"Origin: https://evil.example"}, "403"},
		{"refused by a layer", []middleware.Middleware{refuses(429, "rate_limited")}, nil, "429"},
		{"whose Hijack fails after the 101", []middleware.Middleware{breaking}, nil, ""},
		{"the same, in front of a layer that keeps panics to itself", []middleware.Middleware{forgiving, breaking}, nil, ""},
	} {
		for _, pause := range []time.Duration{0, time.Second} {
			t.Run(tt.sentence+", "+pause.String()+" later", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := handler(t, ws.Config{DangerouslyAllowPlaintext: true})
					l := servePlain(t, middleware.Chain(alsoInternal(h), tt.layers...))
					conn, err := l.Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					const next = "GET /internal HTTP/1.1\r\nHost: localhost\r\n\r\n"
					if pause == 0 {
						_, _ = io.WriteString(conn, edited(tt.edits...)+next)
					} else {
						_, _ = io.WriteString(conn, edited(tt.edits...))
						time.Sleep(pause)
						_, _ = io.WriteString(conn, next)
					}
					b, _ := io.ReadAll(conn)
					if strings.Contains(string(b), "inside") {
						t.Errorf("the second request was served:\n%s", b)
					}
					if got := string(b); (got == "") != (tt.status == "") || !strings.HasPrefix(got, "HTTP/1.1 "+tt.status) && got != "" {
						t.Errorf("answered:\n%s", b)
					}
				})
			})
		}
	}
}

// What Authorize found in the request reaches Serve, which does not see the request.
func TestAuthorizeHandsAValueOver(t *testing.T) {
	type room struct{ name string }
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan any, 1)
		h := handler(t, ws.Config{
			DangerouslyAllowPlaintext: true,
			Authorize: func(r *http.Request, _ middleware.Principal) (any, error) {
				if r.PathValue("room") == "" {
					return nil, nil
				}
				return &room{r.PathValue("room")}, nil
			},
			Serve: func(_ context.Context, c *ws.Conn) error { seen <- c.Value(); return nil },
		})
		mux := http.NewServeMux()
		mux.Handle("GET /rooms/{room}", h)
		mux.Handle("GET /ws", h)
		l := servePlain(t, mux)
		if _, res := open(t, l, "GET /rooms/blue HTTP/1.1"); res.StatusCode != 101 {
			t.Fatal(res.Status)
		}
		if v, ok := (<-seen).(*room); !ok || v.name != "blue" {
			t.Errorf("Value() is %v", v)
		}
		if _, res := open(t, l); res.StatusCode != 101 {
			t.Fatal(res.Status)
		}
		if v := <-seen; v != nil {
			t.Errorf("Value() is %v, want nil", v)
		}
	})
}
