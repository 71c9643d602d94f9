package certificate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/securews/securews/internal/certificate"
)

// wrapping is a RoundTripper of another type that cannot be looked into.
type wrapping struct{ below http.RoundTripper }

func (w wrapping) RoundTrip(r *http.Request) (*http.Response, error) { return w.below.RoundTrip(r) }

// unwrapping is one that can.
type unwrapping struct{ wrapping }

func (u unwrapping) Unwrap() http.RoundTripper { return u.below }

// forgetting does not pass the request's context on.
type forgetting struct{ below http.RoundTripper }

func (f forgetting) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.below.RoundTrip(r.WithContext(context.Background()))
}

// site counts the requests that it gets, over HTTP/1.1 or HTTP/2.
type site struct {
	*httptest.Server
	requests atomic.Int64
}

func serve(t *testing.T, http2 bool, version uint16) *site {
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.requests.Add(1) }))
	s.EnableHTTP2, s.Config.ErrorLog = http2, log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// roots are those of the client that verifies the site.
func (s *site) roots() *x509.CertPool {
	return s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
}

func transport(t *testing.T, cfg *tls.Config) *http.Transport {
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// accepts stands for a VerifyConnection that compares a pin.
func accepts(tls.ConnectionState) error { return nil }

// RFC 9110 §4.3.4: a client verifies that the certificate is an acceptable match for the origin.
func TestTransportSendsNothingToAnUnverifiedServer(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		s := serve(t, http2, 0)
		skips := &tls.Config{InsecureSkipVerify: true}
		pins := &tls.Config{InsecureSkipVerify: true, VerifyConnection: accepts}
		dialsTLS := transport(t, pins)
		dialsTLS.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: skips}).DialContext(ctx, network, addr)
		}
		older := transport(t, pins.Clone())
		//lint:ignore SA1019 a transport may still have one
		older.DialTLS = func(network, addr string) (net.Conn, error) { return tls.Dial(network, addr, skips) }
		for _, tt := range []struct {
			name string
			rt   http.RoundTripper
			good bool
			sent int64
		}{
			{"verified", transport(t, &tls.Config{RootCAs: s.roots()}), true, 2},
			{"verified, in a wrapper", wrapping{transport(t, &tls.Config{RootCAs: s.roots()})}, true, 2},
			{"skipped", transport(t, skips.Clone()), false, 0},
			{"skipped, in a wrapper", wrapping{transport(t, skips.Clone())}, false, 0},
			{"skipped, in two wrappers", wrapping{unwrapping{wrapping{transport(t, skips.Clone())}}}, false, 0},
			{"skipped, in a wrapper that drops the context", forgetting{transport(t, skips.Clone())}, false, 2},
			{"skipped, by DialTLSContext", dialsTLS, false, 0},
			{"skipped, by DialTLS", older, false, 0},
			{"pinned", transport(t, pins.Clone()), true, 2},
			{"pinned, in a wrapper with Unwrap", unwrapping{wrapping{transport(t, pins.Clone())}}, true, 2},
			{"pinned, in a wrapper without", wrapping{transport(t, pins.Clone())}, false, 0},
		} {
			s.requests.Store(0)
			client := &http.Client{Transport: certificate.Transport(tt.rt)}
			for range 2 { // the second reuses the connection, or resumes its session
				res, err := client.Get(s.URL)
				if err == nil {
					_ = res.Body.Close()
				}
				if tt.good && err != nil || !tt.good && !errors.Is(err, certificate.ErrUnverified) {
					t.Errorf("%s, %s: %v", name, tt.name, err)
				}
			}
			if got := s.requests.Load(); got != tt.sent {
				t.Errorf("%s, %s: %d requests arrived, want %d", name, tt.name, got, tt.sent)
			}
		}
	}
}

// A session that was made without verification is resumed without it, and one with it keeps its
// chains (crypto/tls, ConnectionState).
func TestTransportOnResumedSessions(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := serve(t, false, version)
		for name, cfg := range map[string]*tls.Config{
			"verified": {RootCAs: s.roots()}, "skipped": {InsecureSkipVerify: true},
		} {
			var resumed atomic.Bool
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			cfg.VerifyConnection = func(state tls.ConnectionState) error { resumed.Store(state.DidResume); return nil }
			tr := transport(t, cfg)
			tr.DisableKeepAlives = true
			plain := &http.Client{Transport: tr}
			res, err := plain.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body) // with the session ticket of TLS 1.3
			_ = res.Body.Close()
			res, err = (&http.Client{Transport: certificate.Transport(wrapping{tr})}).Get(s.URL)
			if err == nil {
				_ = res.Body.Close()
			}
			if good := name == "verified"; !resumed.Load() || good != (err == nil) || !good && !errors.Is(err, certificate.ErrUnverified) {
				t.Errorf("%s, TLS %x: resumed: %v, %v", name, version, resumed.Load(), err)
			}
		}
	}
}

// RFC 8996: TLS 1.1 must not be used.
func TestTransportRefusesTLS11(t *testing.T) {
	t.Parallel()
	s := serve(t, false, tls.VersionTLS11)
	s.requests.Store(0)
	old := wrapping{transport(t, &tls.Config{RootCAs: s.roots(), MinVersion: tls.VersionTLS10})}
	if _, err := (&http.Client{Transport: certificate.Transport(old)}).Get(s.URL); !errors.Is(err, certificate.ErrUnverified) ||
		s.requests.Load() != 0 {
		t.Errorf("%v, %d requests", err, s.requests.Load())
	}
}

// An unverified connection that a request outside has left in the pool is not used either.
func TestTransportDoesNotReuseAnUnverifiedConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, false, 0)
	shared := transport(t, &tls.Config{InsecureSkipVerify: true})
	res, err := (&http.Client{Transport: shared}).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if _, err := (&http.Client{Transport: certificate.Transport(wrapping{shared})}).Get(s.URL); !errors.Is(err,
		certificate.ErrUnverified) || s.requests.Load() != 1 {
		t.Errorf("%v, %d requests", err, s.requests.Load())
	}
}

// Plaintext to this machine and transports without a network are the caller's decision.
func TestTransportDoesNotJudge(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	canned := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	for url, rt := range map[string]http.RoundTripper{plain.URL: nil, "https://id.example": canned} {
		res, err := (&http.Client{Transport: certificate.Transport(rt)}).Get(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_ = res.Body.Close()
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := serve(t, true, 0)
	client := &http.Client{Transport: certificate.Transport(wrapping{transport(t, &tls.Config{InsecureSkipVerify: true})})}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := client.Get(s.URL); !errors.Is(err, certificate.ErrUnverified) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	skips := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for _, tt := range []struct {
		name string
		rt   http.RoundTripper
		want string
	}{
		{"nil", nil, ""},
		{"no settings", &http.Transport{}, ""},
		{"skipped", skips, "InsecureSkipVerify without VerifyConnection"},
		{"skipped, in a wrapper with Unwrap", unwrapping{wrapping{skips}}, "InsecureSkipVerify without VerifyConnection"},
		{"skipped, in Transport", certificate.Transport(skips), "InsecureSkipVerify without VerifyConnection"},
		{"skipped, in a wrapper without", wrapping{skips}, ""},
		{"pinned", &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: accepts}}, ""},
		{"an old minimum", &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS11}}, "MinVersion below TLS 1.2"},
		{"an old maximum", &http.Transport{TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS11}}, "MaxVersion below TLS 1.2"},
		{"TLS 1.2", &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}}, ""},
	} {
		err := errors.Join(certificate.Check(tt.rt)...)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// The first use of a Transport writes its TLSClientConfig, perhaps while another client of it is made.
func TestTransportInUse(t *testing.T) {
	t.Parallel()
	for range 20 {
		shared := &http.Transport{ForceAttemptHTTP2: true}
		var all sync.WaitGroup
		all.Go(shared.CloseIdleConnections)
		all.Go(func() {
			if errs := certificate.Check(shared); len(errs) > 0 {
				t.Error(errs)
			}
		})
		all.Go(func() { certificate.Transport(shared) })
		all.Wait()
	}
}
