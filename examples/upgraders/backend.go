package main

import (
	"bufio"
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"time"

	"github.com/securews/securews/middleware"
)

//go:embed backend/echo.js
var nodeScript string

// backend is an echo server in another language, and the handler that proxies to it.
type backend struct {
	http.Handler
	exited <-chan struct{}
}

// startNode starts a backend in Node, which ends with ctx. The error matches
// [exec.ErrNotFound] if Node is not installed.
func startNode(ctx context.Context) (*backend, error) {
	return startBackend(exec.CommandContext(ctx, "node", "-e", nodeScript), func(line string) {
		slog.Info("a socket of the backend has ended", "report", line)
	})
}

// startBackend starts a command that prints its port in the first line, and ends when its
// standard input does. Each further line is reported.
func startBackend(cmd *exec.Cmd, report func(line string)) (*backend, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel, cmd.WaitDelay = stdin.Close, 5*time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	lines := bufio.NewScanner(stdout)
	to, err := portOf(lines)
	go func() {
		defer close(exited)
		for lines.Scan() {
			report(lines.Text())
		}
		_ = cmd.Wait()
	}()
	if err != nil {
		_ = stdin.Close()
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	return &backend{proxyTo(to), exited}, nil
}

func portOf(lines *bufio.Scanner) (*url.URL, error) {
	if !lines.Scan() {
		return nil, errors.Join(lines.Err(), io.ErrUnexpectedEOF)
	}
	return url.Parse("http://127.0.0.1:" + lines.Text())
}

// proxyTo proxies to a backend without authentication: the layers in front have done that.
// It gets the name of the user, and not the cookie, which is worth the whole session.
func proxyTo(to *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Header.Del("Cookie")
		p, _ := middleware.FromContext(r.In.Context())
		r.Out.Header.Set("X-User", p.Subject)
	}}
}
