package ws_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// Cheapest and least revealing first: a client that fails an earlier check learns nothing
// of the later ones and costs them nothing.
func TestOrderOfChecks(t *testing.T) {
	hosts, err := middleware.NewHostPolicy("app.example")
	if err != nil {
		t.Fatal(err)
	}
	full := make(chan struct{})
	tests := []struct {
		sentence string
		request  string
		status   int
		reason   string
	}{
		{"a malformed handshake before a bad host", edited("Sec-WebSocket-Key: x", "Host: evil.example",
			"Origin: https://evil.example"), 400, "bad_handshake"},
		{"a bad host before a bad origin", edited("Host: evil.example", "Origin: https://evil.example"), 421, "host_not_allowed"},
		{"a bad origin before capacity and credential", edited("Origin: https://evil.example"), 403, "origin_not_allowed"},
		{"a bad subprotocol before the credential", edited("Sec-WebSocket-Protocol: other"), 400, "subprotocol"},
		{"capacity before the credential", edited(), 503, "overloaded"},
	}
	asked := make(chan string, 100)
	served := make(chan struct{})
	srv := wstest.Start(t, quiet(handler(t, ws.Config{
		Hosts:        hosts,
		Subprotocols: []string{"chat"},
		Live:         registry(t, live.Config{Limits: live.Limits{Connections: 1}}),
		Serve:        func(context.Context, *ws.Conn) error { close(served); <-full; return nil },
		Auth: auth(t, admit(func(*http.Request) (middleware.Principal, error) {
			asked <- "Authenticate"
			return middleware.Principal{Subject: "ann"}, nil
		})),
		Authorize: func(*http.Request, middleware.Principal) (any, error) { asked <- "Authorize"; return nil, nil },
	})))
	if res, body := answer(t, secure(t, srv), edited()); res.StatusCode != 101 {
		t.Fatalf("answered %d %s", res.StatusCode, body)
	}
	<-served
	defer close(full)
	if a, b := <-asked, <-asked; a != "Authenticate" || b != "Authorize" {
		t.Errorf("asked %s, then %s", a, b)
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			res, body := answer(t, secure(t, srv), tt.request)
			wantRefusal(t, res, body, tt.status, tt.reason)
			if tt.status == 503 && res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if len(asked) > 0 {
				t.Errorf("%s was asked", <-asked)
			}
		})
	}
}

// ASVS 4.4.1, 12.2.1; OWASP W1.
func TestPlaintextIsRefused(t *testing.T) {
	behind, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"127.0.0.1", "::1"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sentence string
		cfg      ws.Config
		edits    []string
		status   int
	}{
		{"in the clear", ws.Config{}, nil, 403},
		{
			"in the clear, whatever the client says of it",
			ws.Config{},
			[]string{"X-Forwarded-Proto: https", "Forwarded: proto=https", "X-Forwarded-Ssl: on"},
			403,
		},
		{"in the clear, by a proxy that is not trusted", ws.Config{Proxies: elsewhere}, []string{"X-Forwarded-Proto: https"}, 403},
		{"in the clear, by a trusted proxy that says nothing", ws.Config{Proxies: behind}, nil, 403},
		{"in the clear, by a trusted proxy that says http", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: http"}, 403},
		{"https, by a trusted proxy", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: https"}, 101},
		{"wss, by a trusted proxy", ws.Config{Proxies: behind}, []string{"X-Forwarded-Proto: wss"}, 101},
		{"in the clear, where that is named", ws.Config{DangerouslyAllowPlaintext: true}, nil, 101},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			srv := httptest.NewServer(handler(t, tt.cfg))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			res, body := answer(t, conn, edited(tt.edits...))
			if tt.status == 101 && res.StatusCode != 101 {
				t.Errorf("answered %d %s, want 101", res.StatusCode, body)
			}
			if tt.status != 101 {
				wantRefusal(t, res, body, tt.status, "tls_required")
				if res.Header.Get("Location") != "" { // ASVS 4.1.2
					t.Error("redirected")
				}
			}
		})
	}
}

func TestPlaintextIsRefusedBeforeAnythingElseIsSaid(t *testing.T) {
	srv := httptest.NewServer(handler(t, ws.Config{}))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	wantRefusal(t, res, string(body), 403, "tls_required")
}
