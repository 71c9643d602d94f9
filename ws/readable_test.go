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
		{"an expired credential", ws.Config{Auth: auth(t, refusing(401, "credential_expired"))}, 3000, "expired", "credential_expired"},
		{"a revoked one", ws.Config{Auth: auth(t, refusing(401, "credential_revoked"))}, 3000, "revoked", "credential_revoked"},
		{"an invalid one", ws.Config{Auth: auth(t, refusing(401, "credential_invalid"))}, 3000, "reauth", "credential_invalid"},
		{"none", ws.Config{Auth: auth(t, user{func(string) (middleware.Principal, error) {
			return middleware.Principal{},
				middleware.ErrNoCredential
		}})}, 3000, "reauth", "no_credential"},
		{"one that has ended by now", ws.Config{Auth: auth(t, user{func(string) (middleware.Principal, error) {
			return middleware.Principal{Subject: "ann", Expires: time.Now()}, nil
		}})}, 3000, "expired", "credential_expired"},
		{"not allowed", ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			return nil,
				errors.New("s3cret")
		}}, 3003, "forbidden", "forbidden"},
		{"not allowed by scope", ws.Config{Auth: auth(t, refusing(403, "insufficient_scope"))}, 3003, "forbidden", "insufficient_scope"},
		{
			"not allowed, though the word is another's",
			ws.Config{Auth: auth(t, refusing(403, "credential_revoked"))},
			3003,
			"forbidden", "credential_revoked",
		},
		{
			"the store down, though the word is another's",
			ws.Config{Auth: auth(t, refusing(503, "credential_expired"))},
			1013,
			"later", "credential_expired",
		},
		{
			"a limit of one's own, though the word is another's",
			ws.Config{Auth: auth(t, refusing(429, "draining"))},
			1013, "later",
			"draining",
		},
		{"a nil *Refusal of Authorize", ws.Config{Authorize: func(*http.Request, middleware.Principal) (any, error) {
			var f *middleware.Refusal
			return nil, f
		}}, 3003, "forbidden", "forbidden"},
		{"too often", ws.Config{Auth: auth(t, refusing(429, "rate_limited"))}, 1013, "later", "rate_limited"},
		{"the store down", ws.Config{Auth: auth(t, refusing(503, "unavailable"))}, 1013, "later", "unavailable"},
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
			"an origin that is not on the list",
			ws.Config{Auth: expired},
			[]string{"Origin: https://evil.example"},
			403,
			"origin_not_allowed",
		},
		{"a native client, without an origin", ws.Config{Auth: expired, Origins: native}, []string{"Origin"}, 401, "credential_expired"},
		{"a host that is none of ours", ws.Config{Auth: expired, Hosts: hosts(t)}, []string{"Host: evil.example"}, 421, "host_not_allowed"},
		{"a key that is none", ws.Config{Auth: expired}, []string{"Sec-WebSocket-Key: x"}, 400, "bad_handshake"},
		{"another version", ws.Config{Auth: expired}, []string{"Sec-WebSocket-Version: 8"}, 426, "websocket_version"},
		{"no subprotocol in common", ws.Config{Auth: expired}, []string{"Sec-WebSocket-Protocol: x"}, 400, "subprotocol"},
		{"two credentials", ws.Config{Auth: auth(t, refusing(400, "multiple_credentials"))}, nil, 400, "multiple_credentials"},
		{
			"a status that is not in the table, whatever the word",
			ws.Config{Auth: auth(t, refusing(404, "credential_expired"))},
			nil,
			404, "credential_expired",
		},
		{"nor is 500 in it", ws.Config{Auth: auth(t, refusing(500, "draining"))}, nil, 500, "draining"},
		{"a fault of ours", ws.Config{Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			return middleware.Principal{}, errors.New("s3cret")
		}))}, nil, 500, "internal"},
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
