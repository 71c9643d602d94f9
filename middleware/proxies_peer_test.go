package middleware_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// says answers with the client's address and whether it is secure.
func says(p *middleware.Proxies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if p.Secure(r) {
			scheme = "https"
		}
		_, _ = io.WriteString(w, scheme+" "+addrText(p.ClientIP(r))+" "+p.Host(r))
	})
}

// A proxy that connects to a Unix socket is trusted by the entry "unix", and by no other.
func TestProxyOnAUnixSocket(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		sentence string
		trusted  []string
		header   [][2]string
		want     string
	}{
		{
			"trusted",
			[]string{"unix"},
			[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "203.0.113.9"}},
			"https 203.0.113.9 app.example",
		},
		{
			"trusted, beside an address",
			[]string{"127.0.0.1", "unix"},
			[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "203.0.113.9, 127.0.0.1"}},
			"https 203.0.113.9 app.example",
		},
		{
			"trusted, behind another nginx on a Unix socket",
			[]string{"unix"},
			[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "127.0.0.1, 203.0.113.9, unix:"}},
			"https 203.0.113.9 app.example",
		},
		{"trusted, and says nothing", []string{"unix"}, nil, "http  app.example"},
		{
			"not named",
			[]string{"127.0.0.1"},
			[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "203.0.113.9"}},
			"http  app.example",
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: says(proxies(t, middleware.ProxiesConfig{Trusted: row.trusted}))}
			go func() { _ = srv.Serve(l) }()
			defer srv.Close()
			client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", path)
			}}}
			defer client.CloseIdleConnections()
			r, _ := http.NewRequest("GET", "http://app.example/", nil)
			for _, field := range row.header {
				r.Header.Set(field[0], field[1])
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, _ := io.ReadAll(res.Body); string(got) != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// The attack: a layer in front copies a header into RemoteAddr, and the client writes there
// the name of a trusted proxy, or of a Unix socket.
func TestRemoteAddrOfAnotherLayerIsNotTrusted(t *testing.T) {
	t.Parallel()
	p := proxies(t, middleware.ProxiesConfig{Trusted: append([]string{"unix"}, trustedProxies...)})
	for _, forged := range []string{"10.0.0.1", "192.0.2.7", "2001:db8:ffff::1", "@", "", "unix", "unix:", "/run/app.sock"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = forged
		// as net/http does
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 80), Port: 443}))
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if p.Secure(r) || addrText(p.ClientIP(r)) == "198.51.100.1" {
			t.Errorf("RemoteAddr %q: client %s, secure %v", forged, p.ClientIP(r), p.Secure(r))
		}
	}
}

// realIP does what RealIP of chi does.
func realIP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("X-Real-IP")
		next.ServeHTTP(w, r)
	})
}

// RealIP of chi believes X-Real-IP of every client, and hides the peer.
func TestBehindRealIPOfChi(t *testing.T) {
	t.Parallel()
	p := proxies(t, middleware.ProxiesConfig{Trusted: []string{"127.0.0.1", "::1"}})
	for _, row := range []struct {
		sentence string
		layers   []middleware.Middleware
		status   int
		cause    string
	}{
		{
			"inside of it: the peer is hidden",
			[]middleware.Middleware{realIP, middleware.RequireTLS(p)},
			403,
			`RemoteAddr "127.0.0.1" has no port, so a layer in front has overwritten it, and the peer is not known: mount ` +
				`Proxies.Handler in place of that layer, or outside it`,
		},
		{"outside of it: the peer is known", []middleware.Middleware{p.Handler, realIP, middleware.RequireTLS(p)}, 200, ""},
	} {
		r := requestVia("127.0.0.1:4711", "X-Forwarded-Proto", "https")
		r.Header.Set("X-Real-IP", "127.0.0.1") // RealIP writes it into RemoteAddr
		lines := logged(t, says(p), r, row.layers...)
		if got := lines[0]["status"]; got != float64(row.status) {
			t.Errorf("%s: %v", row.sentence, got)
		}
		if cause, _ := lines[0]["cause"].(string); !strings.Contains(cause, row.cause) {
			t.Errorf("%s: %q, want %q", row.sentence, cause, row.cause)
		}
	}
}
