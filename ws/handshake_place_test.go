package ws_test

import (
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
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// Whichever way a handshake or a connection ends, its place is free
// again, and so is its principal's share.
func TestPlaceIsFreeAgainAfterEveryEnding(t *testing.T) {
	good := func(r *http.Request) (middleware.Principal, error) {
		return middleware.Principal{Issuer: "test", Subject: "ann", SessionHandle: "s", TokenHandle: "t"}, nil
	}
	bad := func(r *http.Request) bool { return r == nil || r.Header.Get("X-Bad") != "" }
	by := func(f *fickle) *middleware.Auth {
		f.Revocations = middleware.NewRevocations()
		return auth(t, middleware.WithRevocations(admit(func(r *http.Request) (middleware.Principal, error) {
			f.bad = bad(r)
			return good(r)
		}), f))
	}
	endings := []struct {
		sentence string
		cfg      func(*ws.Config)
		wrap     func(http.Handler) http.Handler
		status   int // of the bad one; 0: the connection is closed without an answer
	}{
		{"a malformed handshake", func(c *ws.Config) { c.Subprotocols = []string{"x"} }, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					r.Header.Set("Sec-WebSocket-Protocol", "y")
				}
				h.ServeHTTP(w, r)
			})
		}, 400},
		{"a refused credential", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					return middleware.Principal{}, &middleware.Refusal{Status: 401, Reason: middleware.ReasonCredentialInvalid}
				}
				return good(r)
			}))
		}, nil, 401},
		{"an authenticator that fails", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					return middleware.Principal{}, errors.New("dial tcp 10.0.0.7: connection refused")
				}
				return good(r)
			}))
		}, nil, 500},
		{"an authenticator that panics", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				if bad(r) {
					panic("secret")
				}
				return good(r)
			}))
		}, nil, 500},
		{"a credential that has ended", func(c *ws.Config) {
			c.Auth = auth(t, admit(func(r *http.Request) (middleware.Principal, error) {
				p, err := good(r)
				if bad(r) {
					p.Expires = time.Now()
				}
				return p, err
			}))
		}, nil, 401},
		{"Authorize says no", func(c *ws.Config) {
			c.Authorize = func(r *http.Request, _ middleware.Principal) (any, error) {
				if bad(r) {
					return nil, errors.New("not a member of room 7")
				}
				return nil, nil
			}
		}, nil, 403},
		{"Authorize panics", func(c *ws.Config) {
			c.Authorize = func(r *http.Request, _ middleware.Principal) (any, error) {
				if bad(r) {
					panic("secret")
				}
				return nil, nil
			}
		}, nil, 500},
		{"revocations that cannot be asked", func(c *ws.Config) {
			c.Auth = by(&fickle{err: errors.New("store: i/o timeout")})
		}, nil, 503},
		{"revocations that panic", func(c *ws.Config) { c.Auth = by(&fickle{panics: true}) }, nil, 500},
		{"a revoked session", func(c *ws.Config) { c.Auth = by(&fickle{}) }, nil, 401},
		{"a hidden Hijacker", nil, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					w = hiding{w}
				}
				h.ServeHTTP(w, r)
			})
		}, 500},
		{"a Hijack that fails", nil, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad(r) {
					w = failing{w}
				}
				h.ServeHTTP(w, r)
			})
		}, 0},
		{"Serve that returns", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { return nil } }, nil, 101},
		{"Serve that fails", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { return errors.New("x") } }, nil, 101},
		{"Serve that panics", func(c *ws.Config) { c.Serve = func(context.Context, *ws.Conn) error { panic("secret") } }, nil, 101},
		{"a client that leaves without a word", nil, nil, 101},
	}
	for _, tt := range endings {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := &logs{}
				g := registry(t, live.Config{Limits: live.Limits{Connections: 1, PerPrincipal: 1}, Log: logs.logger()})
				cfg := ws.Config{Auth: auth(t, admit(good)), Live: g, Log: logs.logger(), DangerouslyAllowPlaintext: true}
				if tt.cfg != nil {
					tt.cfg(&cfg)
				}
				h := handler(t, cfg)
				chain := http.Handler(h)
				if tt.wrap != nil {
					chain = tt.wrap(h)
				}
				l := servePlain(t, chain)
				var protocol []string
				if len(cfg.Subprotocols) > 0 {
					protocol = []string{"Sec-WebSocket-Protocol: x"}
				}
				for i := range 3 {
					conn, res := open(t, l, append(protocol, "X-Bad: yes")...)
					if res.StatusCode != tt.status || tt.status != 101 && res.Header["Sec-Websocket-Accept"] != nil {
						t.Errorf("attempt %d: answered %d %s %v, want %d", i, res.StatusCode, res.Status, res.Header, tt.status)
					}
					_ = conn.Close()
					synctest.Wait()
				}
				for range 3 {
					conn, res := open(t, l, protocol...)
					if res.StatusCode != 101 {
						t.Fatalf("afterwards answered %d, want 101", res.StatusCode)
					}
					_ = conn.Close()
					synctest.Wait()
				}
				shutdown(t.Context(), t, g)
				if strings.Contains(logs.String(), "secret") {
					t.Errorf("a panic's value is logged:\n%s", logs)
				}
			})
		})
	}
}

// Capacity returns after thousands of them.
func TestCapacityReturnsAfterThousandsOfEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := plainNode(t, live.Config{Limits: live.Limits{Connections: 1}}, ws.Config{})
		for i := range 2000 {
			conn, res := open(t, l)
			if res.StatusCode != 101 {
				t.Fatalf("connection %d is answered %d", i, res.StatusCode)
			}
			if i%4 == 0 { // in good order; else: bare, a part of a frame, a reset
				_, _ = conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8})
			} else if i%4 == 1 {
				_, _ = conn.Write([]byte{0x81, 0xFE, 1})
			}
			_ = conn.Close()
			synctest.Wait()
			conn, res = open(t, l, "Sec-WebSocket-Key: x")
			if res.StatusCode != 400 {
				t.Fatalf("bad handshake %d is answered %d", i, res.StatusCode)
			}
			_ = conn.Close()
		}
		shutdown(t.Context(), t, g)
	})
}

// OWASP W18.
func TestCapsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byHeader := admit(func(r *http.Request) (middleware.Principal, error) {
			if r.Header.Get("X-User") == "" {
				return middleware.Principal{}, middleware.ErrNoCredential
			}
			return middleware.Principal{Issuer: r.Header.Get("X-Issuer"), Subject: r.Header.Get("X-User")}, nil
		})
		limits := live.Limits{Connections: 8, PerPrincipal: 2}
		_, l := plainNode(t, live.Config{Limits: limits}, ws.Config{Auth: auth(t, byHeader, middleware.Anonymous())})
		steps := []struct {
			sentence string
			edits    []string
			status   int
			reason   string
		}{
			{"ann's first", []string{"X-User: ann", "X-Issuer: a"}, 101, ""},
			{"ann's second", []string{"X-User: ann", "X-Issuer: a"}, 101, ""},
			{"ann's third is one too many", []string{"X-User: ann", "X-Issuer: a"}, 429, "too_many_connections"},
			{"ann of another issuer is somebody else", []string{"X-User: ann", "X-Issuer: b"}, 101, ""},
			{"bob has a share of his own", []string{"X-User: bob", "X-Issuer: a"}, 101, ""},
			{"the anonymous", nil, 101, ""},
			{"are nobody in particular", nil, 101, ""},
			{"and have no share to use up", nil, 101, ""},
			{"ann is still at her share", []string{"X-User: ann", "X-Issuer: a"}, 429, "too_many_connections"},
			{"the eighth in all", nil, 101, ""},
			{"the ninth in all", nil, 503, "overloaded"},
			{"the ninth in all, with a name", []string{"X-User: eve"}, 503, "overloaded"},
		}
		var conns []net.Conn
		for _, step := range steps {
			conn, res := open(t, l, step.edits...)
			if res.StatusCode != step.status {
				t.Errorf("%s: answered %d, want %d", step.sentence, res.StatusCode, step.status)
			}
			if step.status != 101 {
				body, _ := io.ReadAll(res.Body)
				wantRefusal(t, res, string(body), step.status, step.reason)
				if res.Header.Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", step.sentence)
				}
			}
			conns = append(conns, conn)
		}
		_ = conns[0].Close()
		synctest.Wait()
		if _, res := open(t, l, "X-User: ann", "X-Issuer: a"); res.StatusCode != 101 {
			t.Errorf("after her first has closed, ann is answered %d", res.StatusCode)
		}
	})
}
