package main

import (
	"os/user"
	"testing"
)

func startNginx(t *testing.T, p *proxy, edits map[string]string) {
	installed(t, "nginx")
	service := p.service
	if p.network == "unix" {
		service = "unix:" + service
	}
	conf := filled(t, printed(t, "nginx", "nginx"), map[string]string{
		"192.0.2.10:443":         p.tls,
		"192.0.2.10:80":          p.plain,
		"127.0.0.1:8080":         service,
		"/etc/ssl/app.example":   p.dir,
		"proxy_read_timeout 60s": "proxy_read_timeout " + timeout,
	}, edits)
	path := p.write(t, "nginx.conf", []byte(conf))
	// On the command line is the part that depends on the machine: its workers may be
	// those of the user who runs the test, since the socket is in that user's directory.
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t, "nginx", "-p", p.dir, "-c", path, "-e", "stderr", "-g", "daemon off; pid nginx.pid; user "+me.Username+";")
}
