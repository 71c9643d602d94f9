package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func startReverseProxy(t *testing.T, p *proxy, edits map[string]string) {
	program := printed(t, "Go's ReverseProxy", "go")
	places := map[string]string{
		"192.0.2.10:443":          p.tls,
		"192.0.2.10:80":           p.plain,
		"/etc/ssl/app.example":    p.dir,
		"30 * time.Second // the": "1 * time.Second // the",
		"IdleTimeout:       60 *": "IdleTimeout:       1 *",
	}
	if p.network == "unix" {
		program = filled(t, program, map[string]string{
			"\ttransport.Proxy = nil\n": "\ttransport.Proxy = nil\n" + printed(t, "Go's ReverseProxy and a Unix socket", "go"),
			"import (\n":                "import (\n\t\"context\"\n\t\"net\"\n",
		})
		places["/run/app/app.sock"] = p.service
	} else {
		places["127.0.0.1:8080"] = p.service
	}
	source := p.write(t, "front.go", []byte(filled(t, program, places, edits)))
	command := filepath.Join(p.dir, "front")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p.start(t, command)
}
