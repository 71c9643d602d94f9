package ws_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
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
		"an authenticator of the application around them": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, wrapped{m}), nil
		},
		"an Auth in an Auth": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
			return auth(t, auth(t, m)), nil
		},
		"an Auth in an Auth, which has vouched in an outer layer": func(t *testing.T, m *session.Manager) (*middleware.Auth, middleware.Middleware) {
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
				c, res, err := n.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "Cookie": {n.cookie}}})
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

// The attack: a message of many MiB is on its way when the credential is revoked (CWE-613).
// What was not handed to the kernel by then does not go out.
func TestRestOfALargeMessageDoesNotFollowARevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := middleware.NewRevocations()
		n := start(t, ws.Config{Auth: revokedBy(t, revocations), Serve: func(_ context.Context, c *ws.Conn) error {
			return c.Write(websocket.MessageBinary, make([]byte, 64<<20))
		}})
		c := n.connect("ann")
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
				revoke(t, revocations, middleware.Revocation{SessionHandle: "s-ann"})
				revoked = true
			}
		}
		if after > 512<<10 {
			t.Errorf("%d KiB arrived after the revocation", after>>10)
		}
	})
}
