package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/securews/securews/examples/internal/pages"
)

// The requests by which the page checks a deployment, against the chat behind each proxy.
func TestCheckingADeployment(t *testing.T) {
	t.Parallel()
	installed(t, "curl")
	command := pages.Build(t, filepath.Join("..", "chat"))
	statuses := []string{" 200", " 403"} // by the page: served, and refused by the service
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t)
			p.chat(t, command, "tcp")
			f.start(t, p, nil)
			n := 0
			for line := range strings.Lines(printed(t, "Checking a deployment", "sh")) {
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				if n == len(statuses) {
					t.Fatalf("a third request: %s", line)
				}
				line += " --silent --show-error --cacert cert.pem --connect-to app.example:443:" + p.tls + " --connect-to app.example:80:" +
					p.plain
				cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
				cmd.Dir = p.dir
				out, err := cmd.CombinedOutput()
				if first, _, _ := strings.Cut(string(out), "\r\n"); err != nil || !strings.Contains(first+" ", statuses[n]+" ") {
					t.Errorf("%s: %v\n%s; want%s", line, err, first, statuses[n])
				}
				n++
			}
			if n != len(statuses) {
				t.Errorf("%d requests, want %d", n, len(statuses))
			}
		})
	}
}
