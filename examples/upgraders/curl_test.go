package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/securews/securews/internal/needed"
)

// curlRun is a curl that reads a stream.
type curlRun struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	body, head     string // files
}

// startCurl runs curl for at most a minute.
func startCurl(t *testing.T, url, version, cookie string) *curlRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := &curlRun{body: filepath.Join(t.TempDir(), "body"), head: filepath.Join(t.TempDir(), "head")}
	c.cmd = exec.CommandContext(ctx, needed.Program(t, "curl", "apt-get install -y curl"),
		"-q", "-s", "-S", "-k", "-N", "--http"+version, "-o", c.body, "-D", c.head, "-w", "%{http_code} %{http_version}",
		"-H", "Cookie: "+cookie, "-H", "Accept: text/event-stream", "-H", "Accept-Encoding: gzip", url)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *curlRun) wait() (a answer) {
	a.err = c.cmd.Wait()
	a.curl.exit, a.curl.error = c.cmd.ProcessState.ExitCode(), c.stderr.String()
	_, _ = fmt.Sscan(c.stdout.String(), &a.status, &a.curl.version)
	a.body, _ = os.ReadFile(c.body)
	a.header = headerFile(c.head)
	return a
}

// versionOf is the version of HTTP that curl is to speak.
var versionOf = map[string]string{"TLS": "1.1", "HTTP/2": "2"}

func readCurl(t *testing.T, s *streamWorld, kind string) answer {
	t.Helper()
	var c *curlRun
	s.begin(t, func(cookie string) { c = startCurl(t, s.URL+"/stream", versionOf[kind], cookie) })
	return c.wait()
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

// wantCurl wants curl's exit code.
func wantCurl(t *testing.T, got answer, kind string, want ending) {
	t.Helper()
	exit := 0
	if want == aborted {
		exit = map[string]int{"TLS": 18, "HTTP/2": 92}[kind] // a partial file; a stream that was reset
	}
	if got.curl.exit != exit || got.curl.version != versionOf[kind] {
		t.Errorf("curl's exit code %d on HTTP/%s: %s; want %d on HTTP/%s",
			got.curl.exit, got.curl.version, got.curl.error, exit, versionOf[kind])
	}
	if exit == 0 && got.curl.error != "" {
		t.Errorf("curl reports %s", got.curl.error)
	}
	wantNoBrokenRecord(t, got)
}

// wantNoBrokenRecord wants no report of a damaged TLS record, which looks like an attack in
// a log.
func wantNoBrokenRecord(t *testing.T, got answer) {
	t.Helper()
	for _, report := range []string{"bad record mac", "decryption failed"} {
		if strings.Contains(got.curl.error, report) {
			t.Errorf("curl reports %s", got.curl.error)
		}
	}
}
