package ws_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

func trusting(t testing.TB, cfg middleware.ProxiesConfig) *middleware.Proxies {
	t.Helper()
	p, err := middleware.NewProxies(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reverse is net/http's reverse proxy in front of the backend, as its documentation writes it:
// it changes Host. It says https of every client, as one behind TLS does.
func reverse(t testing.TB, backend http.Handler, dial func() (net.Conn, error)) (addr string) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: "backend.internal:8080"}
	transport := &http.Transport{}
	if dial == nil {
		srv := httptest.NewServer(backend)
		t.Cleanup(srv.Close)
		target, _ = url.Parse(srv.URL)
	} else {
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
	}
	t.Cleanup(transport.CloseIdleConnections)
	front := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Header.Set("X-Forwarded-Proto", "https")
	}})
	t.Cleanup(front.Close)
	return front.Listener.Addr().String()
}

func dialed(t testing.TB, network, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// What browsers send, through a proxy that changes Host: the page's origin decides. Chromium
// sends no Fetch Metadata with a handshake, Firefox does (Fetch Metadata §2.3).
func TestBrowsersBehindAProxyThatChangesHost(t *testing.T) {
	addr := reverse(t, handler(t, ws.Config{Proxies: trusting(t, middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}})}), nil)
	for _, tt := range []struct {
		sentence string
		edits    []string
		status   int
	}{
		{"Chromium, from the same origin", nil, 101},
		{
			"Firefox, from the same origin",
			[]string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: empty"},
			101,
		},
		{"Firefox, from a sibling", []string{"Sec-Fetch-Site: same-site"}, 101},
		{"Firefox, from another site", []string{"Sec-Fetch-Site: cross-site"}, 101},
		{"a page that is not listed", []string{"Origin: https://evil.example", "Sec-Fetch-Site: same-origin"}, 403},
		{
			"a page that is not listed, with a forged host",
			[]string{"Origin: https://evil.example", "X-Forwarded-Host: evil.example", "Host: evil.example"},
			403,
		},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			if res, body := answer(t, dialed(t, "tcp", addr), edited(tt.edits...)); res.StatusCode != tt.status {
				t.Errorf("answered %d %s", res.StatusCode, body)
			}
		})
	}
}

// OWASP W1: a client that is not a trusted proxy gains nothing by the headers of one.
func TestForgedForwardingHeadersGainNothing(t *testing.T) {
	wild := origins(t, "https://*.app.example")
	hosts, err := middleware.NewHostPolicy("*.app.example")
	if err != nil {
		t.Fatal(err)
	}
	log := new(logs)
	trusted := middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}, HostHeader: "X-Forwarded-Host"}
	srv := httptest.NewServer(handler(t, ws.Config{Origins: wild, Hosts: hosts, Proxies: trusting(t, trusted), Log: log.logger()}))
	defer srv.Close()
	res, body := answer(t, dialed(t, "tcp", srv.Listener.Addr().String()), edited(
		"Origin: https://a.app.example", "Host: a.app.example", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1",
		"X-Forwarded-Host: a.app.example", "Forwarded: for=192.0.2.1;proto=https;host=a.app.example"))
	wantRefusal(t, res, body, 403, "tls_required")
	for _, want := range []string{"ws: handshake: middleware: Proxies: the request came without TLS: 127.0.0.1 is the peer, and " +
		"ProxiesConfig.Trusted does not name it", `add \"127.0.0.1\"`, "see Config.Proxies", "client=127.0.0.1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
}

// ASVS 4.4.1: the Proxies of a layer in front is not that of the handler, and the log says so.
func TestProxiesInFrontDoNotReplaceConfigProxies(t *testing.T) {
	log := new(logs)
	layer := trusting(t, middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}}).Handler
	srv := httptest.NewServer(layer(handler(t, ws.Config{Log: log.logger()})))
	defer srv.Close()
	res, body := answer(t, dialed(t, "tcp", srv.Listener.Addr().String()), edited("X-Forwarded-Proto: https"))
	wantRefusal(t, res, body, 403, "tls_required")
	if want := "Config.Proxies is nil, and a Proxies in front as a layer does not replace it"; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %s: %s", want, log)
	}
}

// A page of one tenant opens no socket at the host of another, with the cookies that its user
// has there. The proxy changes Host, and names the one that it was asked for.
func TestTenantsBehindAProxy(t *testing.T) {
	hosts, err := middleware.NewHostPolicy("*.app.example", "api.app.example")
	if err != nil {
		t.Fatal(err)
	}
	addr := reverse(t, handler(t, ws.Config{
		Origins: origins(t, "https://*.app.example"), Hosts: hosts,
		Proxies: trusting(t, middleware.ProxiesConfig{Trusted: []string{"127.0.0.1"}, HostHeader: "X-Forwarded-Host"}),
	}), nil)
	for _, tt := range []struct {
		sentence, page, host string
		status               int
		reason               string
	}{
		{sentence: "its own host", page: "https://a.app.example", host: "a.app.example", status: 101},
		{sentence: "another's host", page: "https://a.app.example", host: "b.app.example", status: 403, reason: "origin_not_allowed"},
		{sentence: "a host that the list names", page: "https://a.app.example", host: "api.app.example", status: 101},
		{
			sentence: "a host that is not listed", page: "https://a.app.example",
			host: "a.evil.example", status: 421, reason: "host_not_allowed",
		},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			res, body := answer(t, dialed(t, "tcp", addr), edited("Origin: "+tt.page, "Host: "+tt.host, "X-Forwarded-Host: a.app.example"))
			if tt.status == 101 {
				if res.StatusCode != 101 {
					t.Errorf("answered %d %s", res.StatusCode, body)
				}
				return
			}
			wantRefusal(t, res, body, tt.status, tt.reason)
		})
	}
}

// A proxy that connects to a Unix socket is trusted where that is named.
func TestHandshakeOverAUnixSocket(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		trusted  []string
		status   int
	}{
		{"named", []string{"unix"}, 101},
		{"not named", []string{"127.0.0.1"}, 403},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			backend := handler(t, ws.Config{Proxies: trusting(t, middleware.ProxiesConfig{Trusted: tt.trusted})})
			srv := &http.Server{Handler: backend}
			go func() { _ = srv.Serve(l) }()
			defer srv.Close()
			addr := reverse(t, backend, func() (net.Conn, error) { return net.Dial("unix", path) })
			if res, body := answer(t, dialed(t, "tcp", addr), edited()); res.StatusCode != tt.status {
				t.Errorf("answered %d %s", res.StatusCode, body)
			}
		})
	}
}
