package ws_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// wrapped adds to a session's principal, and knows of no layer in front of it.
type wrapped struct{ middleware.Revocable }

// The attack: the session is loaded by its layer, which Auth may rely on for a second, and
// ends before Auth is asked (CWE-613, CWE-367). However the Auth is made, its voucher counts
// from the load, and the registry finds the logout: "register, then check".
func TestLogoutBetweenTheLoadAndTheAuth(t *testing.T) {
	slow := admit(func(*http.Request) (middleware.Principal, error) {
		time.Sleep(700 * time.Millisecond)
		return middleware.Principal{}, middleware.ErrNoCredential
	})
	for name, made := range map[string]func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware){
		"the sessions alone": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, m), nil
		},
		"a slow authenticator behind them": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, m, slow), nil
		},
		"WithRevocations": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, middleware.WithRevocations(m, middleware.NewRevocations())), nil
		},
		"an authenticator of the application around them": func(t *testing.T,
			m *session.Manager,
		) (*middleware.Auth, middleware.Middleware) {
			return auth(t, wrapped{m}), nil
		},
		"an Auth in an Auth": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, auth(t, m)), nil
		},
		"an Auth in an Auth, which has vouched in an outer layer": func(t *testing.T,
			m *session.Manager,
		) (*middleware.Auth, middleware.Middleware) {
			inner := auth(t, m)
			return auth(t, inner), inner.Handler
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startSite(t, live.Config{}, session.Config{})
				a, outer := made(t, s.Manager)
				h := handler(t, ws.Config{Auth: a, Log: slog.New(slog.DiscardHandler)})
				attack, pause := false, 200*time.Millisecond
				if outer != nil {
					pause = 2 * time.Second // a voucher is as good then
				}
				logout := func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if attack {
							time.Sleep(200 * time.Millisecond)
							s.visit("/logout")
							time.Sleep(pause)
						}
						next.ServeHTTP(w, r)
					})
				}
				layers := []middleware.Middleware{s.Handler, logout}
				if outer != nil {
					layers = []middleware.Middleware{s.Handler, outer, logout}
				}
				srv := wstest.NewServer(t, middleware.Chain(h, layers...))
				n := &site{node: &node{Server: srv, t: t}, Manager: s.Manager, outside: s.outside}
				n.visit("/login")
				_ = n.open() // the Auth is followed from now on
				time.Sleep(2 * time.Second)
				attack, s.cookie = true, n.cookie
				c, res, err := n.Dial(t.Context(), "/",
					&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "Cookie": {n.cookie}}})
				if err == nil {
					_ = c.CloseNow()
					t.Fatal("101 with a session that had ended")
				}
				if res.StatusCode != http.StatusUnauthorized {
					t.Errorf("%d", res.StatusCode)
				}
			})
		})
	}
}

// The attack: a message of many MiB is on its way when the credential is revoked (CWE-613), with
// each word that the client may read, or when its user is forbidden. Bytes that the kernel does
// not have by then do not go out.
func TestRestOfALargeMessageDoesNotFollowARevocation(t *testing.T) {
	for _, v := range []middleware.Revocation{{SessionHandle: "s-ann"}, {Subject: "ann"}, {Subject: "dan"}} {
		t.Run(v.SessionHandle+v.Subject, func(t *testing.T) { revokeWithinAMessage(t, cmp.Or(v.Subject, "ann"), v) })
	}
}

func revokeWithinAMessage(t *testing.T, subject string, v middleware.Revocation) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		n := start(t, ws.Config{
			Auth: auth(t, renewable{middleware.WithRevocations(user{}, revocations)}),
			Serve: func(_ context.Context, c *ws.Conn) error {
				return c.Write(websocket.MessageBinary, make([]byte, 64<<20))
			},
		})
		c := n.connect(subject)
		c.SetReadLimit(-1)
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before, after, revoked := 0, 0, false
		for buf := make([]byte, 64<<10); err == nil; time.Sleep(10 * time.Millisecond) {
			var k int
			if k, err = io.ReadFull(r, buf); revoked {
				after += k
			} else if before += k; before >= 1<<20 {
				revoke(t, revocations, v)
				revoked = true
			}
		}
		if after > 512<<10 {
			t.Errorf("%d KiB arrived after the revocation", after>>10)
		}
	})
}

// moments calls at when a handshake reaches the moment of that name.
type moments struct{ at func(moment string) }

func (m moments) Ambient() bool { return false }

func (m moments) Authenticate(*http.Request) (middleware.Principal, error) {
	m.at("within the Auth, behind the sessions")
	return middleware.Principal{}, middleware.ErrNoCredential
}

func (m moments) Alive(context.Context, middleware.Principal) error {
	m.at("while the Auth asks the others")
	return nil
}

func (m moments) Follow(func(middleware.Revocation)) (stop func()) { return func() {} }

type hijacking struct {
	unwrapped
	at func(moment string)
}

func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.at("before Hijack")
	defer h.at("after Hijack")
	return http.NewResponseController(h.w).Hijack()
}

// The attack: the session ends at a moment of the handshake between two checks (CWE-367).
// There is none: the answer is 401, or the connection ends at once with 3000 `revoked`.
func TestEndOfASessionAtEveryMomentOfTheHandshake(t *testing.T) {
	ends := map[string]func(s *site){
		"Logout":           func(s *site) { s.visit("/logout") },
		"LogoutEverywhere": func(s *site) { s.visit("/everywhere") },
		"Login":            func(s *site) { s.visit("/login") },
		"End": func(s *site) {
			list, err := s.Sessions(context.Background(), "alice")
			if err != nil || len(list) == 0 {
				panic(err)
			}
			for _, info := range list {
				if err := s.End(context.Background(), "alice", info.Handle); err != nil {
					panic(err)
				}
			}
		},
		"a revocation without issuer": func(s *site) {
			if err := s.Revocations().Revoke(context.Background(), middleware.Revocation{Subject: "alice"}); err != nil {
				panic(err)
			}
		},
		"more revocations than are remembered": func(s *site) {
			s.visit("/everywhere")
			for i := range 2000 {
				if err := s.Revocations().Revoke(context.Background(), middleware.Revocation{TokenHandle: strconv.Itoa(i)}); err != nil {
					panic(err)
				}
			}
		},
	}
	for _, moment := range []string{
		"before the Auth", "within the Auth, behind the sessions", "while the Auth asks the others",
		"in Authorize", "before Hijack", "after Hijack", "in Serve",
	} {
		for name, end := range ends {
			for _, first := range []bool{false, true} { // the Auth's first voucher, or a later one
				t.Run(fmt.Sprintf("%s, %s, %v", moment, name, first), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := startSite(t, live.Config{}, session.Config{})
						var now atomic.Value // the moment to come
						now.Store("")
						at := func(m string) {
							if now.CompareAndSwap(m, "") {
								time.Sleep(time.Millisecond) // Before is a time
								end(s)
								time.Sleep(time.Millisecond)
							}
						}
						h := handler(t, ws.Config{
							Auth: auth(t, s.Manager, moments{at}), Log: slog.New(slog.DiscardHandler),
							Authorize: func(*http.Request, middleware.Principal) (any, error) { at("in Authorize"); return nil, nil },
							Serve: func(ctx context.Context, c *ws.Conn) error {
								at("in Serve")
								return echo(ctx, c)
							},
						})
						outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							at("before the Auth")
							h.ServeHTTP(hijacking{unwrapped{w}, at}, r)
						})
						s.Server = wstest.NewServer(t, s.Handler(outer))
						s.visit("/login")
						if !first {
							_ = s.open()
						}
						now.Store(moment)
						c, res, err := s.Dial(t.Context(), "/",
							&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "Cookie": {s.cookie}}})
						if err == nil {
							wantEnding(t, c, 3000, "revoked", 0, time.Second)
						} else if res == nil || res.StatusCode != http.StatusUnauthorized {
							t.Errorf("%v %v", res, err)
						}
						time.Sleep(time.Minute)
						if now.Load() != "" {
							t.Errorf("the moment %q did not come", now)
						}
					})
				})
			}
		}
	}
}

// The attack: handshakes under way when a shutdown begins. Each is refused with 503, or its
// connection reads 1012: none is cut without a word, and none outlives the shutdown.
func TestShutdownDuringHandshakes(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"without haste": time.Hour, "in 3 s": 3 * time.Second, "at once": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := user{principal: func(name string) (middleware.Principal, error) {
					n, _ := strconv.Atoi(name)
					time.Sleep(time.Duration(n) * 10 * time.Millisecond)
					return middleware.Principal{Issuer: "test", Subject: name}, nil
				}}
				n := start(t, ws.Config{Auth: auth(t, slow)})
				var accepted, refused atomic.Int32
				var clients sync.WaitGroup
				for i := range 200 {
					clients.Go(func() {
						time.Sleep(time.Duration(i) * 7 * time.Millisecond)
						c, res, err := n.try(strconv.Itoa(i % 150))
						switch {
						case err == nil:
							accepted.Add(1)
							wantEnding(t, c, 1012, "restart", 0, time.Minute)
						case res == nil || res.StatusCode != http.StatusServiceUnavailable:
							t.Errorf("%v %v", res, err)
						default:
							refused.Add(1)
						}
					})
				}
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				var calls sync.WaitGroup
				for range 2 {
					calls.Go(func() { shutdown(ctx, t, n.live) })
				}
				calls.Wait()
				clients.Wait()
				if a, r := accepted.Load(), refused.Load(); a < 50 || r < 50 {
					t.Errorf("%d accepted, %d refused: the shutdown was not among them", a, r)
				}
			})
		})
	}
}

// The attack: while a write keeps the close frame back, a message arrives from a peer whose
// credential is gone. Validate does not see it.
func TestMessageAfterARevocationIsNotValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		seen := 0
		n := start(t, ws.Config{
			Auth:     revokedBy(t, revocations),
			Validate: func(context.Context, websocket.MessageType, []byte) error { seen++; return nil },
			Serve: func(_ context.Context, c *ws.Conn) error {
				go func() { _ = c.Write(websocket.MessageBinary, make([]byte, 64<<20)) }()
				_, _, err := c.Read()
				return err
			},
		})
		c := n.connect("ann")
		synctest.Wait()
		revoke(t, revocations, middleware.Revocation{SessionHandle: "s-ann"})
		if err := c.Write(t.Context(), websocket.MessageText, []byte("transfer")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if seen != 0 {
			t.Error("Validate saw it")
		}
		time.Sleep(time.Minute)
	})
}
