package main

import "testing"

// front is a proxy of the page.
type front struct {
	name string
	// start starts it in front of p.service. The edits are replacements in its configuration
	// beside those of places and time-outs.
	start func(t *testing.T, p *proxy, edits map[string]string)
	// idle: it ends a connection on which nothing happens.
	idle bool
	// connect: it offers sockets over HTTP/2 (RFC 8441 §3).
	connect bool
}

var fronts = []front{
	{name: "nginx", start: startNginx, idle: true},
	{name: "haproxy", start: startHAProxy, idle: true, connect: true},
	{name: "Caddy", start: startCaddy},
	{name: "ReverseProxy", start: startReverseProxy},
}

// each runs a test with each proxy, and with the service on TCP and on a Unix socket.
func each(t *testing.T, run func(t *testing.T, f front, network string)) {
	t.Helper()
	for _, f := range fronts {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(f.name+" to "+network, func(t *testing.T) {
				t.Parallel()
				run(t, f, network)
			})
		}
	}
}

func TestProxies(t *testing.T) {
	each(t, func(t *testing.T, f front, network string) {
		p := newProxy(t)
		p.serve(t, network, nil)
		f.start(t, p, nil)
		p.through(t, f)
	})
}
