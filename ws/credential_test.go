package ws_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// site is a handler whose users sign in with sessions and nothing else: no field connects
// the two.
type site struct {
	*node
	*session.Manager
	outside http.Handler
	cookie  string
}

func startSite(t *testing.T, of live.Config, cfg session.Config) *site {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Logout(r.Context()); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/everywhere", func(w http.ResponseWriter, r *http.Request) {
		if err := m.LogoutEverywhere(r.Context(), "alice"); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	return &site{node: startLive(t, of, ws.Config{Auth: auth(t, m)}), Manager: m, outside: m.Handler(mux)}
}

// visit sends a request with the cookie of the one before.
func (s *site) visit(path string) {
	r := httptest.NewRequest("POST", wstest.URL+path, nil)
	if s.cookie != "" {
		r.Header.Set("Cookie", s.cookie)
	}
	w := httptest.NewRecorder()
	s.outside.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		s.cookie = c.Name + "=" + c.Value
	}
}

func (s *site) open() *websocket.Conn {
	s.t.Helper()
	c, _, err := s.Dial(s.t.Context(), "/", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}, "Cookie": {s.cookie}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// ASVS 7.4.2, 7.4.3: the socket of a session ends with it, though nothing connects them but
// Config.Auth.
func TestLogoutEndsTheSocketsOfTheSession(t *testing.T) {
	for _, path := range []string{"/logout", "/everywhere"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startSite(t, live.Config{}, session.Config{})
				s.visit("/login")
				c := s.open()
				time.AfterFunc(time.Minute, func() { s.visit(path) })
				wantEnding(t, c, 3000, "revoked", time.Minute, time.Minute)
			})
		})
	}
}

// ASVS 7.3.1: the socket of a session ends when that has not been used for Idle, without a
// wait for the next recheck, unless connections count as use of the session; then it lives up to the
// absolute end.
func TestIdleEndOfASessionReachesItsSockets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		idle    time.Duration
		extend  bool
		request time.Duration // after the login; 0: none
		want    time.Duration
	}{
		{name: "after Idle", idle: 10 * time.Minute, want: 10 * time.Minute},
		{name: "after an Idle that is shorter than the recheck interval", idle: 20 * time.Second, want: 20 * time.Second},
		{name: "after Idle from the last request", idle: 10 * time.Minute, request: 7 * time.Minute, want: 17 * time.Minute},
		{name: "after Absolute", idle: 10 * time.Minute, extend: true, want: 2 * time.Hour},
		{name: "after Absolute, with a short Idle", idle: 20 * time.Second, extend: true, want: 2 * time.Hour},
		{name: "after Absolute, with the shortest Idle", idle: time.Second, extend: true, want: 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startSite(t, live.Config{}, session.Config{Idle: tt.idle, Absolute: 2 * time.Hour, ConnectionsExtendIdle: tt.extend})
				s.visit("/login")
				c := s.open()
				if tt.request > 0 {
					time.AfterFunc(tt.request, func() { s.visit("/") })
				}
				wantEnding(t, c, 3000, "expired", tt.want, tt.want+time.Second)
			})
		})
	}
}

// relay is a revocation list as an application writes it on a message bus: every node is
// told each Revocation unchanged.
type relay struct {
	middleware.Revocations
	mu  sync.Mutex
	fns []func(middleware.Revocation)
}

func (r *relay) Revoke(ctx context.Context, v middleware.Revocation) error {
	if err := r.Revocations.Revoke(ctx, v); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fn := range r.fns {
		fn(v)
	}
	return nil
}

func (r *relay) Follow(fn func(middleware.Revocation)) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fns = append(r.fns, fn)
	return func() {}
}

// A Revocation without Before means all that the subject was issued until now, live
// connections included.
func TestZeroBeforeReachesLiveConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := &relay{Revocations: middleware.NewRevocations()}
		n := start(t, ws.Config{Auth: revokedBy(t, list)})
		ann, bob := n.connect("ann"), n.watch("bob")
		time.Sleep(time.Second)
		revoke(t, list, middleware.Revocation{Subject: "ann"})
		wantEnding(t, ann, 3000, "revoked", 0, 0)
		select {
		case e := <-bob:
			t.Errorf("another subject's connection ended with %v", e)
		default:
		}
	})
}

// A question that waits for a worker does not count as missing: of 1,500 connections none
// ends although each answer takes 2 s.
func TestSlowAnswersEndNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 1500
		var ended, asked atomic.Int64
		users := &revocable{alive: func(ctx context.Context, _ middleware.Principal) error {
			asked.Add(1)
			select {
			case <-time.After(2 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		of := live.Config{
			Limits:   live.Limits{Connections: count, PerAddress: count},
			Timeouts: live.Timeouts{Recheck: 30 * time.Second, Stale: time.Minute},
		}
		silent := ws.Timeouts{Heartbeat: time.Hour}
		_, l := plainNode(t, of, ws.Config{Auth: auth(t, users), Timeouts: silent, Serve: func(_ context.Context, c *ws.Conn) error {
			_, _, err := c.Read()
			ended.Add(1)
			return err
		}})
		for i := range count {
			if _, res := open(t, l, fmt.Sprint("X-User: user", i)); res.StatusCode != 101 {
				t.Fatal(res.Status)
			}
		}
		users.earnest.Store(true)
		time.Sleep(3 * time.Minute)
		if k := ended.Load(); k > 0 || asked.Load() < 2*count {
			t.Errorf("%d of %d connections ended; %d questions", k, count, asked.Load())
		}
		users.earnest.Store(false)
		time.Sleep(5 * time.Second) // the questions under way
	})
}

// deaf is a revocation list that does not answer, and ignores its context.
type deaf struct {
	middleware.Revocations
	release chan struct{}
}

func (d deaf) Revoked(context.Context, middleware.Principal) (bool, error) {
	<-d.release
	return false, nil
}

// A handshake waits at most 2 s for a list that does not answer, and gives its place back.
func TestDeafRevocationsAtTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deaf{middleware.NewRevocations(), make(chan struct{})}
		n := startLive(t, live.Config{Limits: live.Limits{Connections: 3}}, ws.Config{Auth: revokedBy(t, d)})
		begun := time.Now()
		for range 3 {
			codes := make(chan int, 3)
			for range cap(codes) {
				go func() {
					_, res, _ := n.try("ann")
					codes <- res.StatusCode
				}()
			}
			for range cap(codes) {
				if code := <-codes; code != http.StatusServiceUnavailable {
					t.Errorf("answered %d, want 503", code)
				}
			}
		}
		if took := time.Since(begun); took != 6*time.Second {
			t.Errorf("three times three handshakes took %v, want 6 s", took)
		}
		close(d.release)
		n.connect("ann")
	})
}

// renewable tells the clients of revoked credentials to fetch others, unless they are dan's, who
// is forbidden.
type renewable struct{ middleware.Revocable }

func (a renewable) Alive(ctx context.Context, p middleware.Principal) error {
	if err := a.Revocable.Alive(ctx, p); err != nil {
		if p.Subject == "dan" {
			return middleware.Forbidden(err)
		}
		return middleware.Unauthorized(middleware.ReasonCredentialExpired, err)
	}
	return nil
}

// Design §7 (4): a revocation overrules a cause that still lets the queue out, whichever
// word it has for the client.
func TestRevocationOverrulesAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, size = 100, 8 << 10
		list := middleware.NewRevocations()
		queued := make(chan struct{}, 4)
		spread := live.Config{Timeouts: live.Timeouts{Spread: time.Millisecond}}
		n := startLive(t, spread, ws.Config{
			Auth: auth(t, renewable{middleware.WithRevocations(user{}, list)}),
			Serve: func(ctx context.Context, c *ws.Conn) error {
				for range count {
					if err := c.Send(websocket.MessageBinary, make([]byte, size)); err != nil {
						t.Error(err)
					}
				}
				queued <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			},
		})
		ann, bob, eve, dan := n.connect("ann"), n.connect("bob"), n.connect("eve"), n.connect("dan")
		for range 4 {
			<-queued
		}
		go func() { _ = n.live.Shutdown(t.Context()) }()
		time.Sleep(time.Second) // the ends have begun, and the peers read nothing yet
		revoke(t, list, middleware.Revocation{SessionHandle: "s-ann"})
		revoke(t, list, middleware.Revocation{Subject: "eve"})
		revoke(t, list, middleware.Revocation{Subject: "dan"})
		synctest.Wait()
		for _, tt := range []struct {
			c      *websocket.Conn
			least  int
			most   int
			reason string
			code   websocket.StatusCode
		}{
			{c: ann, most: 2 * wstest.DefaultBuffer, reason: "revoked", code: 3000}, // the messages on their way
			{c: eve, most: 2 * wstest.DefaultBuffer, reason: "expired", code: 3000},
			{c: dan, most: 2 * wstest.DefaultBuffer, reason: "forbidden", code: 3003},
			{c: bob, least: count * size, most: count * size, reason: "restart", code: 1012},
		} {
			got := 0
			for {
				_, p, err := tt.c.Read(t.Context())
				var end websocket.CloseError
				if errors.As(err, &end) && (end.Code != tt.code || end.Reason != tt.reason) {
					t.Errorf("ended with %v, want %d %s", end, tt.code, tt.reason)
				}
				if err != nil {
					break
				}
				got += len(p)
			}
			if got < tt.least || got > tt.most {
				t.Errorf("%d bytes were read before %s, want %d to %d", got, tt.reason, tt.least, tt.most)
			}
		}
	})
}
