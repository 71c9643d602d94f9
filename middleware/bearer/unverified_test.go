package bearer_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/ws/wstest"
)

// wrapping is a RoundTripper of another type, which cannot be looked into.
type wrapping struct{ below http.RoundTripper }

func (w wrapping) RoundTrip(r *http.Request) (*http.Response, error) { return w.below.RoundTrip(r) }

func skipping(s *wstest.Server) *http.Transport {
	tr := s.Client().Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.InsecureSkipVerify = true
	return tr
}

// ASVS 12.3.2: an attacker who answers in place of the issuer could issue tokens, or read the
// client's secret and every token.
func TestUnverifiedIssuerIsNotAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int64
		s := wstest.NewServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
		client := &http.Client{Transport: wrapping{skipping(s)}}
		var keysLog, askedLog bytes.Buffer
		a := newAuthenticator(t, bearer.Config{
			Issuer: wstest.URL, Audience: []string{audience}, JWKS: wstest.URL + "/keys", HTTPClient: client,
			Log: slog.New(slog.NewTextHandler(&keysLog, nil)),
		})
		cfg := introspection(nil)
		cfg.Endpoint, cfg.HTTPClient, cfg.Log = wstest.URL+"/introspect", client, slog.New(slog.NewTextHandler(&askedLog, nil))
		if _, err := a.Authenticate(request(token(header(), claims()))); outcome(err) != unavailable {
			t.Errorf("with keys: %v", err)
		}
		if _, err := newIntrospector(t, cfg).Authenticate(request(opaque)); outcome(err) != unavailable {
			t.Errorf("by introspection: %v", err)
		}
		_ = a.Close()
		synctest.Wait()
		if n := requests.Load(); n != 0 {
			t.Errorf("%d requests arrived", n)
		}
		for name, log := range map[string]string{"with keys": keysLog.String(), "by introspection": askedLog.String()} {
			if !strings.Contains(log, "does not verify the certificate") {
				t.Errorf("%s: logged %s", name, log)
			}
		}
	})
}

func TestNewRefusesAClientThatSkipsVerification(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}}}
	_, err := bearer.New(bearer.Config{Issuer: issuer, Audience: []string{audience}, Discovery: true, HTTPClient: client})
	cfg := introspection(nil)
	cfg.HTTPClient = client
	_, askErr := bearer.NewIntrospector(cfg)
	for name, err := range map[string]error{"New": err, "NewIntrospector": askErr} {
		if err == nil || !strings.Contains(err.Error(), "bearer: HTTPClient: InsecureSkipVerify") ||
			!strings.Contains(err.Error(), "bearer: HTTPClient: MinVersion below TLS 1.2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
