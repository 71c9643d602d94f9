package wstest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"testing"
)

// URL is the address of a [Server]. Its certificate is valid for every other host name as
// well.
const URL = "https://app.example"

// Server serves HTTPS on a [Listener] until its test ends.
type Server struct {
	Listener *Listener
	roots    *authority
	t        testing.TB
	client   *http.Client
}

// NewServer serves h over TLS until the test ends. Then it closes every connection,
// including hijacked ones, so that a synctest bubble can end.
func NewServer(t testing.TB, h http.Handler) *Server {
	t.Helper()
	return Start(t, &http.Server{Handler: h})
}

// Start is [NewServer] for a configured server. It sets the certificate of srv.TLSConfig
// and changes nothing else.
func Start(t testing.TB, srv *http.Server) *Server {
	t.Helper()
	roots, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if srv.TLSConfig == nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	srv.TLSConfig.GetCertificate = roots.issue
	s := &Server{Listener: NewListener(), roots: roots, t: t}
	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(s.Listener, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		for _, c := range s.Listener.Conns() {
			c.closeBoth()
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("wstest: serve: %v", err)
		}
	})
	s.client = s.ClientFrom(clientAddr)
	return s
}

// Client returns the client that trusts the server's certificate and reaches it under
// any host name, from 192.0.2.1.
func (s *Server) Client() *http.Client { return s.client }

// ClientFrom returns another such client, with another address.
func (s *Server) ClientFrom(ip netip.Addr) *http.Client {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return s.Listener.DialFrom(ctx, ip)
		},
		TLSClientConfig: &tls.Config{RootCAs: s.roots.pool(), MinVersion: tls.VersionTLS12},
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
