package main

import (
	"net"
	"testing"
)

func TestCaddy(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			installed(t, "caddy")
			p := newProxy(t, network)
			service := p.service
			if network == "unix" {
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
			})
			p.start(t, "caddy", "run", "--adapter", "caddyfile", "--config", p.write(t, "Caddyfile", []byte(conf)))
			p.through(t, false)
		})
	}
}
