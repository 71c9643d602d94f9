package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

const (
	beat    = 500 * time.Millisecond // of the service
	timeout = "3s"                   // of the proxies, in place of the page's
)

// serve starts the service. Below /quiet/ it is one that gives no sign of life within the
// time-out of the proxy.
func (p *proxy) serve(t *testing.T, network string) {
	t.Helper()
	addr, trusted := "127.0.0.1:0", "127.0.0.1"
	if network == "unix" {
		addr, trusted = filepath.Join(p.dir, "app.sock"), "unix"
	}
	listener, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	p.service = listener.Addr().String()
	mux := http.NewServeMux()
	for path, beat := range map[string]time.Duration{"": beat, "/quiet": 25 * time.Second} {
		handler, registry, err := routes(settings{
			origin: "https://app.example", trusted: trusted, beat: beat,
			log: slog.New(slog.NewJSONHandler(p, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(path+"/", http.StripPrefix(path, handler))
		t.Cleanup(func() { _ = registry.Shutdown(t.Context()) })
	}
	srv := middleware.NewServer("", mux)
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// Write takes a line of the service's log.
func (p *proxy) Write(line []byte) (int, error) {
	select {
	case p.lines <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

// logged waits for the line about a request for this path.
func (p *proxy) logged(t *testing.T, path string) (line struct{ Path, Client, Host, Cause string }) {
	t.Helper()
	end := time.After(30 * time.Second)
	for {
		select {
		case l := <-p.lines:
			if json.Unmarshal(l, &line) == nil && line.Path == path {
				return line
			}
		case <-end:
			t.Fatalf("the log has no line about %s", path)
		}
	}
}
