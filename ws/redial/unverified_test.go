package redial_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// wrapping is a RoundTripper of another type, such as one that counts requests.
type wrapping struct{ below http.RoundTripper }

func (w wrapping) RoundTrip(r *http.Request) (*http.Response, error) { return w.below.RoundTrip(r) }

// forgetting also drops the context, and with it the hook that runs before the handshake.
type forgetting struct{ below http.RoundTripper }

func (f forgetting) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.below.RoundTrip(r.WithContext(context.Background()))
}

// unwrapping shows the RoundTripper in it.
type unwrapping struct{ wrapping }

func (u unwrapping) Unwrap() http.RoundTripper { return u.below }

func transport(t *testing.T, s *wstest.Server, change func(*tls.Config)) *http.Transport {
	tr := s.Client().Transport.(*http.Transport).Clone()
	change(tr.TLSClientConfig)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func skip(c *tls.Config) { c.InsecureSkipVerify = true }

func pin(c *tls.Config) {
	c.InsecureSkipVerify, c.VerifyConnection = true, func(tls.ConnectionState) error { return nil }
}

// ASVS 12.3.2: the client sends its credential to a server whose certificate was verified, however
// its Transport is wrapped.
func TestUnverifiedServerGetsNoCredential(t *testing.T) {
	for _, tt := range []struct {
		name     string
		wrap     func(http.RoundTripper) http.RoundTripper
		change   func(*tls.Config)
		served   bool
		requests int64
	}{
		{
			name: "verified", wrap: func(rt http.RoundTripper) http.RoundTripper { return wrapping{rt} },
			change: func(*tls.Config) {}, served: true, requests: 1,
		},
		{name: "skipped, in a wrapper", wrap: func(rt http.RoundTripper) http.RoundTripper { return wrapping{rt} }, change: skip},
		{
			name: "skipped, in a wrapper that drops the context",
			wrap: func(rt http.RoundTripper) http.RoundTripper { return forgetting{rt} }, change: skip, requests: 1,
		},
		{
			name:   "pinned, in a wrapper with Unwrap",
			wrap:   func(rt http.RoundTripper) http.RoundTripper { return unwrapping{wrapping{rt}} },
			change: pin, served: true, requests: 1,
		},
		{name: "pinned, in a wrapper without", wrap: func(rt http.RoundTripper) http.RoundTripper { return wrapping{rt} }, change: pin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, requests := counted(t, handler(t, ws.Config{}))
				client := &http.Client{Transport: tt.wrap(transport(t, s, tt.change))}
				var served atomic.Int64
				r := start(t, s, redial.Config{HTTPClient: client}, func(ctx context.Context, c *redial.Conn) error {
					served.Add(1)
					return listen(ctx, c)
				})
				time.Sleep(time.Minute)
				if got := requests.Load(); got != tt.requests || (served.Load() == 1) != tt.served {
					t.Errorf("%d handshakes arrived, want %d; served %d times", got, tt.requests, served.Load())
				}
				if tt.served {
					r.stop()
					return
				}
				select {
				case err := <-r.done:
					if !strings.Contains(err.Error(), "redial: HTTPClient: the client's Transport does not verify the certificate") {
						t.Error(err)
					}
				default:
					t.Error("Run goes on")
				}
			})
		})
	}
}

// The same for the route of tickets, which gets the session's cookie or an access token.
func TestUnverifiedTicketRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, requests := counted(t, http.NotFoundHandler())
		source, err := redial.NewTicket(redial.TicketConfig{
			URL:        route,
			HTTPClient: &http.Client{Transport: wrapping{transport(t, s, skip)}},
		})
		must(t, err)
		r := start(t, s, redial.Config{Credential: source}, nil)
		if err := <-r.done; !strings.Contains(err.Error(), "does not verify the certificate") || requests.Load() != 0 {
			t.Errorf("%v, after %d requests", err, requests.Load())
		}
	})
}

// A wrapper with Unwrap is looked into before any dial.
func TestNewLooksIntoAWrapper(t *testing.T) {
	t.Parallel()
	c := &http.Client{Transport: unwrapping{wrapping{&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}}
	if _, err := redial.New(redial.Config{URL: wss, HTTPClient: c}); err == nil ||
		!strings.Contains(err.Error(), "HTTPClient: InsecureSkipVerify") {
		t.Errorf("New: %v", err)
	}
	if _, err := redial.NewTicket(redial.TicketConfig{URL: route, HTTPClient: c}); err == nil ||
		!strings.Contains(err.Error(), "HTTPClient: InsecureSkipVerify") {
		t.Errorf("NewTicket: %v", err)
	}
}
