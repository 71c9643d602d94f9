package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestReverseProxy(t *testing.T) {
	t.Parallel()
	p := newProxy(t, "tcp")
	program := p.write(t, "front.go", []byte(filled(t, printed(t, "Go's ReverseProxy", "go"), map[string]string{
		"192.0.2.10:443":       p.tls,
		"192.0.2.10:80":        p.plain,
		"127.0.0.1:8080":       p.service,
		"/etc/ssl/app.example": p.dir,
	})))
	command := filepath.Join(p.dir, "front")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, program).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p.start(t, command)
	p.through(t, false)
}
