package main

import "testing"

func startHAProxy(t *testing.T, p *proxy, edits map[string]string) {
	installed(t, "haproxy")
	service := p.service
	if p.network == "unix" {
		service = "unix@" + service
	}
	conf := filled(t, printed(t, "haproxy", "haproxy"), map[string]string{
		"192.0.2.10:443":              p.tls,
		"192.0.2.10:80":               p.plain,
		"127.0.0.1:8080":              service,
		"/etc/ssl/app.example":        p.dir,
		"timeout client          60s": "timeout client " + timeout,
		"timeout server          60s": "timeout server " + timeout,
		"timeout tunnel          60s": "timeout tunnel " + timeout,
	}, edits)
	p.start(t, "haproxy", "-db", "-f", p.write(t, "haproxy.cfg", []byte(conf)))
}
