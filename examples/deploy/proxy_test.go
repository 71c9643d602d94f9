package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/internal/needed"
)

// proxy is one that runs, with the service behind it.
type proxy struct {
	tls, plain string // addresses that it listens on
	network    string // of the service: "tcp" or "unix"
	service    string // its address
	dir        string // holds cert.pem, key.pem, both.pem
	roots      *x509.CertPool
	lines      chan []byte // of the service's log
	stop       func()      // ends the proxy, once it is started
}

// newProxy chooses the places of a proxy. The service behind it is yet to be started.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{tls: freeAddr(t), plain: freeAddr(t), dir: dir, roots: x509.NewCertPool(), lines: make(chan []byte, 1000)}
	p.certificate(t)
	return p
}

// start runs the command until p.stop, or the end of the test.
func (p *proxy) start(t *testing.T, name string, args ...string) {
	t.Helper()
	if name != "nginx" {
		needed.SameForServer(t, "nginx")
	}
	cmd := exec.Command(installed(t, name), args...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &output, &output, p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	p.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-exited:
		case <-time.After(2 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
	}
	stop := p.stop
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, output.String())
		}
	})
	for _, addr := range []string{p.tls, p.plain} {
		untilListening(t, addr, exited)
	}
}

func installed(t *testing.T, name string) string {
	t.Helper()
	if filepath.IsAbs(name) {
		return name
	}
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if name == "nginx" {
		name = "nginx-light"
	}
	needed.Missing(t, name, "apt-get install -y "+name)
	return ""
}

func untilListening(t *testing.T, addr string, exited <-chan struct{}) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not listen: %v", err)
		}
		select {
		case <-exited:
			t.Fatal("it has exited")
		case <-tick.C:
		}
	}
}

// addrs are those that freeAddr has returned.
var addrs sync.Map

// freeAddr returns an address that nothing listens on, once. Its port is below those that Linux gives
// to outgoing connections.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000))
		if _, used := addrs.LoadOrStore(addr, true); used {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free address")
	return ""
}

// certificate writes one for app.example.
func (p *proxy) certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "app.example"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"app.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.roots.AddCert(leaf)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	first := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	second := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	p.write(t, "cert.pem", first)
	p.write(t, "key.pem", second)
	p.write(t, "both.pem", append(first, second...))
}

// write writes a file of the proxy and returns its path.
func (p *proxy) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// client returns one that connects from an address of loopback, whichever host and port the
// URL names. Without HTTP/2 it is one of HTTP/1.1.
func (p *proxy) client(t *testing.T, from string, http2 bool) *http.Client {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: http2,
		TLSClientConfig:   &tls.Config{RootCAs: p.roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			place := p.tls // also if the URL names its port
			if _, port, _ := net.SplitHostPort(addr); port == "80" {
				place = p.plain
			}
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(ctx, network, place)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
