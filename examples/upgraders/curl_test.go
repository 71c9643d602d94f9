package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// curl returns the path of curl. If none is installed, the test is skipped; with
// SECUREWS_ALL=1 it fails.
func curl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		const missing = "no curl here; install it with: apt-get install -y curl"
		if os.Getenv("SECUREWS_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return path
}

func readCurl(t *testing.T, s *streamWorld, options ...string) answer {
	t.Helper()
	path, got := curl(t), make(chan answer, 1)
	s.begin(t, func(cookie string) {
		go func() { got <- runCurl(t, s, path, cookie, options...) }()
	})
	return within10s(t, "curl's end", got)
}

func runCurl(t *testing.T, s *streamWorld, path, cookie string, options ...string) (a answer) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body, head := filepath.Join(t.TempDir(), "body"), filepath.Join(t.TempDir(), "head")
	version := "--http1.1"
	if s.EnableHTTP2 {
		version = "--http2"
	}
	cmd := exec.CommandContext(ctx, path, append([]string{
		"-q", "-s", "-S", "-k", "-N", version, "-o", body, "-D", head, "-w", "%{http_code} %{http_version}",
		"-H", "Cookie: " + cookie, "-H", "Accept: text/event-stream", "-H", "Accept-Encoding: gzip", s.URL + "/stream",
	}, options...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	a.err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(a.err, &exit) {
		a.curl.exit = exit.ExitCode()
	}
	_, _ = fmt.Sscan(stdout.String(), &a.status, &a.curl.version)
	a.curl.error = stderr.String()
	a.body, _ = os.ReadFile(body)
	a.header = headerFile(head)
	return a
}

// headerFile reads what curl's option -D has written.
func headerFile(path string) http.Header {
	b, _ := os.ReadFile(path)
	h := http.Header{}
	for line := range strings.SplitSeq(string(b), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

// wantCurl wants curl's exit code, and no report of a damaged TLS record, which looks like
// an attack in a log.
func wantCurl(t *testing.T, got answer, kind string, want ending) {
	t.Helper()
	exit, version := 0, map[string]string{"TLS": "1.1", "HTTP/2": "2"}[kind]
	if want == aborted {
		exit = map[string]int{"TLS": 18, "HTTP/2": 92}[kind] // a partial file; a stream that was reset
	}
	if got.curl.exit != exit || got.curl.version != version {
		t.Errorf("curl's exit code %d on HTTP/%s: %s; want %d on HTTP/%s", got.curl.exit, got.curl.version, got.curl.error, exit, version)
	}
	for _, report := range []string{"bad record mac", "decryption failed", "SSL", "TLS"} {
		if strings.Contains(got.curl.error, report) {
			t.Errorf("curl reports %s", got.curl.error)
		}
	}
	if exit == 0 && got.curl.error != "" {
		t.Errorf("curl reports %s", got.curl.error)
	}
}
