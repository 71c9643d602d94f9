package main

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// The command says at its start what to try.
func TestAnnounce(t *testing.T) {
	var out strings.Builder
	o, err := parseOptions([]string{"-accounts", "alice"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{{1}}}
	announce(&out, o, "https://localhost:8443", []string{"secret-words"}, cert, &net.TCPAddr{})
	for _, want := range []string{
		"https://localhost:8443", "alice       secret-words", "sign in in two tabs, sign out in one", "3000 revoked",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}
