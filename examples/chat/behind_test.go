package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket that a killed process has left behind gives way, and nothing else does.
func TestListenOnUnix(t *testing.T) {
	tests := []struct {
		sentence string
		before   func(t *testing.T, path string)
		want     string // in the error; "": it listens
	}{
		{"no file", func(*testing.T, string) {}, ""},
		{"the socket of a process that was killed", func(t *testing.T, path string) {
			l := listening(t, path)
			l.SetUnlinkOnClose(false) // as the kernel does
			_ = l.Close()
		}, ""},
		{"the socket of a process that runs", func(t *testing.T, path string) { listening(t, path) }, "another process listens there"},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("notes"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a socket"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "chat.sock")
		tt.before(t, path)
		before, _ := os.Lstat(path)
		l, err := options{addr: "unix:" + path}.listen()
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.sentence, err)
				continue
			}
			_ = l.Close()
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", tt.sentence, err, tt.want)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: it was replaced: %v", tt.sentence, err)
		}
	}
}

func listening(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.UnixListener)
}
