package main

import (
	"net"
	"testing"
)

func startCaddy(t *testing.T, p *proxy, edits map[string]string) {
	installed(t, "caddy")
	service := p.service
	if p.network == "unix" {
		service = "unix/" + service
	}
	_, secure, err := net.SplitHostPort(p.tls)
	if err != nil {
		t.Fatal(err)
	}
	_, plain, err := net.SplitHostPort(p.plain)
	if err != nil {
		t.Fatal(err)
	}
	conf := filled(t, printed(t, "Caddy", "caddyfile"), map[string]string{
		"https_port 443":       "https_port " + secure,
		"http_port 80":         "http_port " + plain,
		"192.0.2.10":           "127.0.0.1",
		"127.0.0.1:8080":       service,
		"/etc/ssl/app.example": p.dir,
		"keepalive 30s":        "keepalive 1s",
		// It has no time-out for connections in use; these are those that could be mistaken for one.
		"admin off": "admin off\n\tservers {\n\t\ttimeouts {\n\t\t\tread_header 1s\n\t\t\tread_body 1s\n\t\t\tidle 1s\n\t\t}\n\t}",
	}, edits)
	p.start(t, "caddy", "run", "--adapter", "caddyfile", "--config", p.write(t, "Caddyfile", []byte(conf)))
}
