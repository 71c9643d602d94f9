package main

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// The settings of a session for development serve no deployment: neither behind nginx as the
// page has it, nor behind a bare proxy_pass, which changes Host and adds nothing.
func TestDevelopmentSessionBehindNginx(t *testing.T) {
	t.Parallel()
	bare := map[string]string{
		"http://app": "http://127.0.0.1:8080", nginxKeepsHost: "", "proxy_http_version 1.1;": "",
		"proxy_set_header Upgrade           $http_upgrade;": "", "proxy_set_header Connection        $connection_upgrade;": "",
		"proxy_set_header X-Forwarded-Proto $scheme;": "", "proxy_set_header X-Forwarded-For   $remote_addr;": "",
		`proxy_set_header X-Forwarded-Host  "";`: "", `proxy_set_header Forwarded         "";`: "",
	}
	for _, row := range []struct {
		sentence string
		bare     bool
		http11   bool
		method   string
		header   http.Header
	}{
		{sentence: "the page's configuration", http11: true, method: "GET"},
		{sentence: "a bare proxy_pass", bare: true, method: "GET"},
		{sentence: "a bare proxy_pass, and a page that posts", bare: true, method: "POST", header: browser()},
		{
			sentence: "a bare proxy_pass with HTTP/1.1, and a page that posts",
			bare:     true, http11: true, method: "POST", header: http.Header{"Origin": {"https://app.example"}},
		},
		{
			sentence: "a bare proxy_pass with HTTP/1.1, and a link of the page", bare: true, http11: true,
			method: "GET", header: http.Header{"Referer": {"https://app.example/"}, "Sec-Fetch-Site": {"same-origin"}},
		},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			p.development(t)
			edits := map[string]string{}
			if row.bare {
				for old, place := range bare {
					edits[old] = strings.ReplaceAll(place, "127.0.0.1:8080", p.service)
				}
			}
			if row.bare && row.http11 {
				delete(edits, "proxy_http_version 1.1;")
			}
			startNginx(t, p, edits)
			res := p.send(t, p.client(t, "127.0.0.2", false), row.method, "https://app.example/login", row.header)
			if cookie := res.Header.Get("Set-Cookie"); res.StatusCode != http.StatusMisdirectedRequest || cookie != "" {
				t.Errorf("%s, cookie %q; want 421 and none", res.Status, cookie)
			}
		})
	}
}

// development starts a service that signs every request in, with the settings for localhost.
func (p *proxy) development(t *testing.T) {
	t.Helper()
	sessions, err := session.New(session.Config{DangerouslyAllowLocalHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.network, p.service = "tcp", listener.Addr().String()
	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
		}
	})
	srv := middleware.NewServer("", sessions.Handler(login))
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })
	res, err := http.Post("http://"+p.service+"/login", "", http.NoBody) // a developer, who is served
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Set-Cookie"), "dev-session=") {
		t.Fatalf("the developer gets %s and no cookie", res.Status)
	}
}
