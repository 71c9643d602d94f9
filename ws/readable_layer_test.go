package ws_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// refuses is a layer that refuses every request.
func refuses(status int, reason middleware.Reason) middleware.Middleware {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			middleware.Refuse(w, r, &middleware.Refusal{Status: status, Reason: reason, Err: errors.New("s3cret")})
		})
	}
}

// behind is start with layers in front of the handler, inside its ExplainRefusals.
func behind(t *testing.T, cfg ws.Config, layers ...middleware.Middleware) *node {
	t.Helper()
	n := &node{t: t, logs: &logs{}}
	h := handler(t, cfg)
	layers = append([]middleware.Middleware{middleware.AccessLog(n.logs.logger()), h.ExplainRefusals}, layers...)
	n.Server = wstest.NewServer(t, middleware.Chain(h, layers...))
	return n
}

// A refusal of a layer in front of the handler is as readable as one of the handler.
func TestReadableRefusalsOfLayers(t *testing.T) {
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Events: 1, Key: func(*http.Request) string { return "all" }})
	if err != nil {
		t.Fatal(err)
	}
	if limit.Allow(&http.Request{}) != nil {
		t.Fatal("the first event")
	}
	for _, tt := range []struct {
		name   string
		layer  middleware.Middleware
		code   websocket.StatusCode
		reason string
		logged string
	}{
		{name: "a rate limit", layer: limit.Handler, code: 1013, reason: "later", logged: "rate_limited"},
		{
			name: "another Auth", layer: auth(t, refusing(401, "credential_expired")).Handler,
			code: 3000, reason: "expired", logged: "credential_expired",
		},
		{name: "a scope", layer: middleware.RequireScope("chat"), code: 3003, reason: "forbidden", logged: "insufficient_scope"},
		{name: "a layer of one's own", layer: refuses(503, "maintenance"), code: 1013, reason: "later", logged: "maintenance"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := behind(t, ws.Config{Auth: auth(t, user{})}, auth(t, user{}).Handler, tt.layer)
				c, res, err := n.try("ann")
				if err != nil {
					t.Fatalf("%v: %v", err, res)
				}
				wantEnding(t, c, tt.code, tt.reason, 0, 0)
				synctest.Wait()
				log := n.logs.String()
				if strings.Count(log, "\n") != 1 || !strings.Contains(log, " status=101 ") ||
					!strings.Contains(log, " reason="+tt.logged+" ") {
					t.Errorf("logged:\n%s", log)
				}
			})
		})
	}
}

// The handler's own policies decide who may read, also if a layer has refused.
func TestRefusalsOfLayersStayHTTP(t *testing.T) {
	native, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}, AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	full := registry(t, live.Config{Limits: live.Limits{ReadableRefusals: 1}})
	for _, tt := range []struct {
		name  string
		cfg   ws.Config
		edits []string
	}{
		{"to an origin that is not on the list", ws.Config{}, []string{"Origin: https://evil.example"}},
		{"to a native client, without an origin", ws.Config{Origins: native}, []string{"Origin"}},
		{"to a host that is none of ours", ws.Config{Hosts: hosts(t)}, []string{"Host: evil.example"}},
		{"to a plain request", ws.Config{}, []string{"Upgrade"}},
		{"to a handshake that RFC 6455 §4.2.1 forbids", ws.Config{}, []string{"Sec-WebSocket-Key: x"}},
		{"where no subprotocol is in common", ws.Config{}, []string{"Sec-WebSocket-Protocol: x"}},
		{"beyond the budget", ws.Config{Live: full}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := behind(t, tt.cfg, refuses(429, "rate_limited"))
			if tt.cfg.Live == full {
				attack(t, n.Server) // and it does not answer the close frame
			}
			res, body := answer(t, secure(t, n.Server), edited(tt.edits...))
			wantRefusal(t, res, body, 429, "rate_limited")
		})
	}
	t.Run("inside the zero Handler's layer", func(t *testing.T) {
		var zero ws.Handler
		srv := wstest.NewServer(t, zero.ExplainRefusals(refuses(403, "forbidden")(nil)))
		res, body := answer(t, secure(t, srv), edited())
		wantRefusal(t, res, body, 403, "forbidden")
	})
}

// A handler without Config.ExplainRefusals is readable inside its layer, and serves.
func TestReadableRefusalsLayerAroundAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := behind(t, ws.Config{Auth: auth(t, refusing(401, "credential_revoked"))})
		c, _, err := n.try("ann")
		if err != nil {
			t.Fatal(err)
		}
		wantEnding(t, c, 3000, "revoked", 0, 0)

		n = behind(t, ws.Config{Auth: auth(t, user{})})
		c = n.connect("ann")
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(t.Context()); err != nil || string(p) != "hello" {
			t.Fatalf("%q, %v", p, err)
		}
		_ = c.Close(1000, "")
	})
}
