package localcert

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	cert, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := cert.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if cert.Leaf.IsCA || cert.Leaf.VerifyHostname("app.example") == nil {
		t.Error("the certificate is good for more than this machine")
	}
	if got := len(Fingerprint(cert)); got != 32*3-1 {
		t.Errorf("fingerprint of %d characters", got)
	}
}

func TestOrigin(t *testing.T) {
	for asked, want := range map[string]string{
		"localhost:0":  "https://localhost:8443",
		"127.0.0.1:0":  "https://127.0.0.1:8443",
		"[::1]:0":      "https://[::1]:8443",
		":0":           "https://localhost:8443",
		"0.0.0.0:0":    "https://localhost:8443",
		"[::]:0":       "https://localhost:8443",
		"app.lan:8443": "https://app.lan:8443",
	} {
		if got, err := Origin(asked, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", asked, got, err, want)
		}
	}
	if got, err := Origin("localhost:443", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}); err != nil || got != "https://localhost" {
		t.Errorf("port 443: %q, %v", got, err)
	}
	if got, err := Origin("[::1]:443", &net.TCPAddr{IP: net.IPv6loopback, Port: 443}); err != nil || got != "https://[::1]" {
		t.Errorf("port 443: %q, %v", got, err)
	}
	if _, err := Origin("nonsense", &net.TCPAddr{}); err == nil {
		t.Error("an address without a port passes")
	}
}

func TestPin(t *testing.T) {
	ours, err := New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "AB", Fingerprint(ours)[3:], Fingerprint(ours) + ":00"} {
		if _, err := Pin(bad); err == nil {
			t.Errorf("%q is a fingerprint", bad)
		}
	}
	cfg, err := Pin(strings.ToLower(Fingerprint(ours)))
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(t, ours, cfg); err != nil {
		t.Errorf("the pinned certificate: %v", err)
	}
	if err := shake(t, other, cfg); !errors.Is(err, ErrOther) {
		t.Errorf("another certificate: %v", err)
	}
}

func shake(t *testing.T, cert tls.Certificate, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c) // and with it the handshake
			_ = c.Close()
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_ = c.Close()
	}
	return err
}
