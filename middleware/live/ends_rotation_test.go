package live_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// rotation is a session whose client fetches one access token after the other.
type rotation struct {
	sessions *session.Manager
	handle   string
	issuer   *tokenIssuer
	auth     *middleware.Auth
	live     *live.Registry
}

func newRotation(t *testing.T) *rotation {
	log := slog.New(slog.DiscardHandler)
	x := &rotation{issuer: newTokenIssuer(wstest.URL)}
	var err error
	x.sessions, err = session.New(session.Config{Log: log})
	must(t, err)
	keys := httptest.NewRecorder()
	x.issuer.ServeHTTP(keys, nil)
	tokens, err := bearer.New(bearer.Config{
		Issuer: x.issuer.name, Audience: []string{wstest.URL}, Keys: keys.Body.Bytes(), Log: log,
		Sessions: x.sessions, Revocations: x.sessions.Revocations(), Leeway: 1,
	})
	must(t, err)
	x.auth, err = middleware.NewAuth(tokens)
	must(t, err)
	x.live, err = live.New(live.Config{Timeouts: live.Timeouts{Recheck: time.Second}, Log: log})
	must(t, err)
	x.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		must(t, x.sessions.Login(r.Context(), session.Identity{Subject: "ann"}))
		p, _ := x.sessions.Authenticate(r)
		x.handle = p.SessionHandle
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", wstest.URL, nil))
	return x
}

// header returns that of a new token, which is good for d.
func (x *rotation) header(d time.Duration) http.Header {
	token, _ := x.issuer.mint("ann", time.Now().Add(d), map[string]any{"sid": x.handle})
	return http.Header{"Authorization": {"Bearer " + token}, "Origin": {wstest.URL}}
}

// For a minute a client fetches a new token every 2 s and opens another socket with it. None of
// its sockets ends by that: each lives until its own token expires, or the session ends.
func TestSocketsOutliveTheRotationOfTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRotation(t)
		origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})
		must(t, err)
		h, err := ws.New(ws.Config{
			Origins: origins, Auth: x.auth, Live: x.live, Log: slog.New(slog.DiscardHandler),
			Serve: func(_ context.Context, c *ws.Conn) error { return c.PushOnly() },
		})
		must(t, err)
		server := wstest.NewServer(t, h)
		began := time.Now()
		closes := make(chan time.Duration, 100) // each with its time
		reasons := make(chan string, 100)
		for i := range 31 {
			c, _, err := server.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: x.header(90 * time.Second)})
			if err != nil {
				t.Fatalf("socket %d: %v", i, err)
			}
			go func() {
				_, _, err := c.Read(t.Context())
				closes <- time.Since(began)
				ce, _ := errors.AsType[websocket.CloseError](err)
				reasons <- ce.Reason
			}()
			time.Sleep(2 * time.Second)
		}
		if n := len(closes); n > 0 {
			t.Fatalf("%d closes in a minute of rotations, the first after %v: %s", n, <-closes, <-reasons)
		}
		for i := range 10 {
			at, reason := <-closes, <-reasons
			if want := 90*time.Second + time.Duration(2*i)*time.Second; at < want || at > want+resolution || reason != "expired" {
				t.Errorf("socket %d ended after %v: %s, want %v after its token was issued: expired", i, at, reason, want)
			}
		}
		must(t, x.sessions.LogoutEverywhere(t.Context(), "ann"))
		synctest.Wait()
		if n := len(closes); n != 21 {
			t.Errorf("%d sockets ended with the session, want 21", n)
		}
		for len(reasons) > 0 {
			if reason := <-reasons; reason != "revoked" {
				t.Errorf("ended with %q, want revoked", reason)
			}
		}
	})
}

// member is a member of a registry that notes how it ends.
type member struct {
	live.Binding
	ended chan *live.Cause
}

func (m *member) End(cause *live.Cause) { m.ended <- cause }

func (m *member) Next(int64, bool) int64 { return 0 }

// A member whose credential is replaced every 2 s, before the one that it has expires, goes on for
// as long as that happens.
func TestAMemberOutlivesTheTokensThatItReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRotation(t)
		request := func() (*http.Request, *middleware.Voucher) {
			r := httptest.NewRequest("GET", wstest.URL, nil)
			r.Header = x.header(3 * time.Second)
			r, err := x.auth.Admit(r)
			must(t, err)
			v, _ := middleware.VoucherFrom(r.Context())
			return r, v
		}
		m := &member{ended: make(chan *live.Cause, 1)}
		r, v := request()
		must(t, x.live.Reserve(&m.Binding, r))
		must(t, m.Bind(t.Context(), v, m))
		m.Open()
		defer m.Leave(nil)
		for range 30 {
			time.Sleep(2 * time.Second)
			_, v := request()
			must(t, m.Replace(t.Context(), v))
		}
		replaced := time.Now()
		select {
		case cause := <-m.ended:
			t.Fatalf("it ended: %v", cause)
		default:
		}
		cause, after := <-m.ended, time.Since(replaced)
		if !errors.Is(cause, live.Expired) || after < 3*time.Second || after > 3*time.Second+resolution {
			t.Errorf("ended with %v after %v, want expired after 3 s", cause, after)
		}
	})
}
