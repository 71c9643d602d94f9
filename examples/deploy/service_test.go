package main

import (
	"bytes"
	"encoding/json"
	"io"
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

// serve starts the service. Below /slow/ and /quiet/ it gives signs of life further apart
// than the time-outs of the proxy. change, if it is not nil, changes the settings.
func (p *proxy) serve(t *testing.T, network string, change func(*settings)) {
	t.Helper()
	p.network = network
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
	for path, beat := range map[string]time.Duration{"": beat, "/slow": 3 * time.Second, "/quiet": 25 * time.Second} {
		s := settings{
			origin: "https://app.example", trusted: trusted, beat: beat,
			log: slog.New(slog.NewJSONHandler(p, nil)),
		}
		if change != nil {
			change(&s)
		}
		handler, registry, err := routes(s)
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(path+"/", http.StripPrefix(path, handler))
		t.Cleanup(func() { _ = registry.Shutdown(t.Context()) })
	}
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>page</title><link rel="icon" href="data:,">`)
	})
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
