package ws_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

func refusing(status int, reason middleware.Reason) admit {
	return func(*http.Request) (middleware.Principal, error) {
		return middleware.Principal{}, &middleware.Refusal{Status: status, Reason: reason, Err: errors.New("s3cret")}
	}
}

// readably is startLive with ExplainRefusals and a Serve that must not run.
func readably(t *testing.T, of live.Config, cfg ws.Config) *node {
	t.Helper()
	cfg.ExplainRefusals = true
	if cfg.Serve == nil {
		cfg.Serve = func(context.Context, *ws.Conn) error {
			t.Error("a refused connection is served")
			return nil
		}
	}
	return startLive(t, of, cfg)
}

// A page reads why it is refused; the log has the cause, and a line only.
func TestReadableRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    ws.Config
		code   websocket.StatusCode
		reason string
		logged string
	}{
		{
			name: "an expired credential", cfg: ws.Config{Auth: auth(t, refusing(401, "credential_expired"))},
			code: 3000, reason: "expired", logged: "credential_expired",
		},
		{
			name: "a revoked one", cfg: ws.Config{Auth: auth(t, refusing(401, "credential_revoked"))},
			code: 3000, reason: "revoked", logged: "credential_revoked",
		},
		{
			name: "an invalid one", cfg: ws.Config{Auth: auth(t, refusing(401, "credential_invalid"))},
			code: 3000, reason: "reauth", logged: "credential_invalid",
		},
		{name: "none", cfg: ws.Config{Auth: auth(t, user{func(string) (middleware.Principal, error) {
			return middleware.Principal{},
				middleware.ErrNoCredential
		}})}, code: 3000, reason: "reauth", logged: "no_credential"},
		{name: "one that has ended by now", cfg: ws.Config{Auth: auth(t, user{func(string) (middleware.Principal, error) {
			return middleware.Principal{Subject: "ann", Expires: time.Now()}, nil
		}})}, code: 3000, reason: "expired", logged: "credential_expired"},
		{name: "not allowed", cfg: ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			return nil,
				errors.New("s3cret")
		}}, code: 3003, reason: "forbidden", logged: "forbidden"},
		{
			name: "not allowed by scope", cfg: ws.Config{Auth: auth(t, refusing(403, "insufficient_scope"))},
			code: 3003, reason: "forbidden", logged: "insufficient_scope",
		},
		{
			name:   "not allowed, though the word is another's",
			cfg:    ws.Config{Auth: auth(t, refusing(403, "credential_revoked"))},
			code:   3003,
			reason: "forbidden", logged: "credential_revoked",
		},
		{
			name:   "the store down, though the word is another's",
			cfg:    ws.Config{Auth: auth(t, refusing(503, "credential_expired"))},
			code:   1013,
			reason: "later", logged: "credential_expired",
		},
		{
			name: "a limit of one's own, though the word is another's",
			cfg:  ws.Config{Auth: auth(t, refusing(429, "draining"))},
			code: 1013, reason: "later",
			logged: "draining",
		},
		{name: "a nil *Refusal of Authorize", cfg: ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			var f *middleware.Refusal
			return nil, f
		}}, code: 3003, reason: "forbidden", logged: "forbidden"},
		{
			name: "too often", cfg: ws.Config{Auth: auth(t, refusing(429, "rate_limited"))},
			code: 1013, reason: "later", logged: "rate_limited",
		},
		{
			name: "the store down", cfg: ws.Config{Auth: auth(t, refusing(503, "unavailable"))},
			code: 1013, reason: "later", logged: "unavailable",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := readably(t, live.Config{}, tt.cfg)
				c, res, err := n.try("ann")
				if err != nil {
					t.Fatal(err)
				}
				wantEnding(t, c, tt.code, tt.reason, 0, 0)
				if res.StatusCode != 101 || res.Header.Get("WWW-Authenticate") != "" {
					t.Errorf("answered %d %v", res.StatusCode, res.Header)
				}
				synctest.Wait()
				log := n.logs.String()
				if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=WARN") || !strings.Contains(log, " status=101 ") ||
					!strings.Contains(log, " reason="+tt.logged+" ") {
					t.Errorf("logged:\n%s", log)
				}
			})
		})
	}
}

// All other refusals stay HTTP: of clients that may not know, or can read it, and failures.
func TestOtherRefusalsStayHTTP(t *testing.T) {
	expired := auth(t, refusing(401, "credential_expired"))
	native, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}, AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		cfg    ws.Config
		edits  []string
		status int
		reason string
	}{
		{
			name:   "an origin that is not on the list",
			cfg:    ws.Config{Auth: expired},
			edits:  []string{"Origin: https://evil.example"},
			status: 403,
			reason: "origin_not_allowed",
		},
		{
			name: "a native client, without an origin", cfg: ws.Config{Auth: expired, Origins: native},
			edits: []string{"Origin"}, status: 401, reason: "credential_expired",
		},
		{
			name: "a host that is none of ours", cfg: ws.Config{Auth: expired, Hosts: hosts(t)},
			edits: []string{"Host: evil.example"}, status: 421, reason: "host_not_allowed",
		},
		{
			name: "a key that is none", cfg: ws.Config{Auth: expired},
			edits: []string{"Sec-WebSocket-Key: x"}, status: 400, reason: "bad_handshake",
		},
		{
			name: "another version", cfg: ws.Config{Auth: expired},
			edits: []string{"Sec-WebSocket-Version: 8"}, status: 426, reason: "websocket_version",
		},
		{
			name: "no subprotocol in common", cfg: ws.Config{Auth: expired},
			edits: []string{"Sec-WebSocket-Protocol: x"}, status: 400, reason: "subprotocol",
		},
		{
			name: "two credentials", cfg: ws.Config{Auth: auth(t, refusing(400, "multiple_credentials"))},
			status: 400, reason: "multiple_credentials",
		},
		{
			name:   "a status that is not in the table, whatever the word",
			cfg:    ws.Config{Auth: auth(t, refusing(404, "credential_expired"))},
			status: 404, reason: "credential_expired",
		},
		{name: "nor is 500 in it", cfg: ws.Config{Auth: auth(t, refusing(500, "draining"))}, status: 500, reason: "draining"},
		{name: "a fault of ours", cfg: ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{}, errors.New("s3cret")
		}))}, status: 500, reason: "internal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := readably(t, live.Config{}, tt.cfg)
			res, body := answer(t, secure(t, n.Server), edited(tt.edits...))
			wantRefusal(t, res, body, tt.status, tt.reason)
		})
	}
	t.Run("where it is not asked for", func(t *testing.T) {
		n := start(t, ws.Config{Auth: expired})
		res, body := answer(t, secure(t, n.Server), edited())
		wantRefusal(t, res, body, 401, "credential_expired")
	})
}

func hosts(t *testing.T) *middleware.HostPolicy {
	t.Helper()
	p, err := middleware.NewHostPolicy("app.example")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The subprotocol is selected anyway: a browser fails a connection without one.
func TestReadableRefusalSelectsASubprotocol(t *testing.T) {
	n := readably(t, live.Config{}, ws.Config{Auth: auth(t, refusing(403, "forbidden")), Subprotocols: []string{"chat"}})
	c, res, err := n.Dial(t.Context(), "/", &websocket.DialOptions{
		HTTPHeader:   http.Header{"Origin": {wstest.URL}},
		Subprotocols: []string{"x", "chat"},
	})
	if err != nil || res.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Fatalf("%v, %v", res, err)
	}
	wantEnding(t, c, 3003, "forbidden", 0, time.Second)
}

// A peer that does not answer is cut after Timeouts.Close and holds its place no longer;
// beyond the budget, which is none of Limits.Connections, there is HTTP.
func TestReadableRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refusing atomic.Bool
		refusing.Store(true)
		n := readably(t, live.Config{Limits: live.Limits{ReadableRefusals: 3, Connections: 2}}, ws.Config{
			Serve: echo,
			Authorize: func(*http.Request, middleware.Principal) (any, error) {
				if refusing.Load() {
					return nil, errors.New("no")
				}
				return nil, nil
			},
		})
		var silent []*raw
		for range 3 {
			silent = append(silent, attack(t, n.Server, "+X-User: ann"))
		}
		if _, res, err := n.try("ann"); err == nil || res.StatusCode != 403 {
			t.Fatalf("the fourth: %v, %v", res, err)
		}
		refusing.Store(false)
		live := []*websocket.Conn{n.connect("ann"), n.connect("ann")}
		if _, _, err := n.try("ann"); err == nil { // for want of room, and of budget
			t.Fatal("a third connection")
		}
		start := time.Now()
		for _, s := range silent {
			for { // the close frame, and then the end
				if _, _, err := s.next(); err != nil {
					break
				}
			}
		}
		if took := time.Since(start); took > 2500*time.Millisecond {
			t.Errorf("silent peers were there for %v", took)
		}
		time.Sleep(time.Second)
		c, _, err := n.try("ann")
		if err != nil {
			t.Fatalf("with budget again: %v", err)
		}
		wantEnding(t, c, 1013, "later", 0, 0)
		for _, c := range live {
			_ = c.Close(1000, "")
		}
	})
}

func TestReadableRefusalWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := readably(t, live.Config{}, ws.Config{})
		n.shutdown()
		c, _, err := n.try("ann")
		if err != nil {
			t.Fatal(err)
		}
		wantEnding(t, c, 1012, "restart", 0, 0)
	})
}

// A readable refusal has its Timeouts.Close, or the rest of the shutdown's time, and is gone
// when that is over.
func TestDrainWaitsForReadableRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		within time.Duration
		latest time.Duration
	}{
		{"to its own end", time.Minute, 3500 * time.Millisecond},
		{"no longer than it is given", time.Second, 1500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := readably(t, live.Config{}, ws.Config{
					Auth:     auth(t, refusing(401, "credential_expired")),
					Timeouts: ws.Timeouts{Close: 3 * time.Second},
				})
				silent := attack(t, n.Server)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), tt.within)
				defer cancel()
				begun := time.Now()
				shutdown(ctx, t, n.live)
				drained := time.Since(begun)
				for { // the close frame, and then the end
					if _, _, err := silent.next(); err != nil {
						break
					}
				}
				if drained < min(tt.within, 2*time.Second) || drained > tt.latest || time.Since(begun) != drained {
					t.Errorf("drained after %v, the connection was there for %v", drained, time.Since(begun))
				}
			})
		})
	}
}

// A client refused because of the shutdown is told so, and does not hold it up.
func TestRefusalsWhileDrainingDoNotHoldItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := readably(t, live.Config{Timeouts: live.Timeouts{Spread: time.Second}},
			ws.Config{Serve: echo, Timeouts: ws.Timeouts{Close: time.Second}})
		n.connect("silent") // never answers
		synctest.Wait()
		drained := make(chan error, 1)
		begun := time.Now()
		go func() { drained <- n.live.Shutdown(t.Context()) }()
		for {
			synctest.Wait()
			attack(t, n.Server, "+X-User: ann")
			select {
			case err := <-drained:
				if took := time.Since(begun); err != nil || took > 3*time.Second {
					t.Errorf("drained after %v: %v", took, err)
				}
				time.Sleep(2 * time.Second) // the last of them
				return
			case <-time.After(400 * time.Millisecond):
			}
			if time.Since(begun) > time.Minute {
				t.Fatal("it does not end")
			}
		}
	})
}

// If a layer hides the connection, the refusal is HTTP after all. If it fails to hand the
// connection over when the 101 is written, nothing more is answered. The place is free
// again either way.
func TestReadableRefusalThatCannotUpgrade(t *testing.T) {
	for sentence, tt := range map[string]struct {
		wrap   func(http.ResponseWriter) http.ResponseWriter
		status int // 0: no answer
	}{
		"hidden":          {func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} }, 401},
		"not handed over": {func(w http.ResponseWriter) http.ResponseWriter { return failing{w} }, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t, ws.Config{Live: registry(t, live.Config{Limits: live.Limits{ReadableRefusals: 1}})})
				refused := h.ExplainRefusals(refuses(401, "credential_expired")(nil))
				srv := wstest.Start(t, quiet(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Bad") != "" {
						w = tt.wrap(w)
					}
					refused.ServeHTTP(w, r)
				})))
				for range 3 {
					if tt.status == 0 {
						wantNoAnswer(t, secure(t, srv), edited("X-Bad: yes"))
						continue
					}
					res, body := answer(t, secure(t, srv), edited("X-Bad: yes"))
					wantRefusal(t, res, body, tt.status, "credential_expired")
				}
				attack(t, srv).wantClosed(3000, "expired")
			})
		})
	}
}
