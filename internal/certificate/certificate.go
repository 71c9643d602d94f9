// Package certificate keeps secrets from a server whose certificate was not verified.
package certificate

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

var (
	errSkipped = errors.New("InsecureSkipVerify without VerifyConnection: any host could impersonate the server")
	errMin     = errors.New("MinVersion below TLS 1.2 (RFC 8996)")
	errMax     = errors.New("MaxVersion below TLS 1.2 (RFC 8996)")
)

// Check returns the TLS settings of rt that permit too much; rt may wrap an [http.Transport]
// if it has a method Unwrap. A nil rt is [http.DefaultTransport].
func Check(rt http.RoundTripper) (errs []error) {
	t := transportOf(rt)
	if t == nil || t.TLSClientConfig == nil {
		return nil
	}
	cfg := t.TLSClientConfig
	if cfg.InsecureSkipVerify && cfg.VerifyConnection == nil {
		errs = append(errs, errSkipped)
	}
	if cfg.MinVersion != 0 && cfg.MinVersion < tls.VersionTLS12 {
		errs = append(errs, errMin)
	}
	if cfg.MaxVersion != 0 && cfg.MaxVersion < tls.VersionTLS12 {
		errs = append(errs, errMax)
	}
	return errs
}

// transportOf returns a copy of the [http.Transport] in rt; nil if there is none, or none can be
// seen. The fields of one that others use cannot be read: its first request writes TLSClientConfig,
// and Clone waits for that.
func transportOf(rt http.RoundTripper) *http.Transport {
	for rt != nil {
		if t, ok := rt.(*http.Transport); ok {
			return t.Clone()
		}
		u, ok := rt.(interface{ Unwrap() http.RoundTripper })
		if !ok {
			return nil
		}
		rt = u.Unwrap()
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		return t.Clone()
	}
	return nil
}

// pinned reports whether VerifyConnection alone decides on the certificate. A transport with a
// DialTLSContext or DialTLS does not call it.
func pinned(rt http.RoundTripper) bool {
	t := transportOf(rt)
	//lint:ignore SA1019 a transport may still have a DialTLS
	if t == nil || t.TLSClientConfig == nil || t.DialTLSContext != nil || t.DialTLS != nil {
		return false
	}
	return t.TLSClientConfig.InsecureSkipVerify && t.TLSClientConfig.VerifyConnection != nil
}

// ErrUnverified is the error of a request over a connection that was not verified.
var ErrUnverified = errors.New("the client's Transport does not verify the certificate, or permits TLS below 1.2: " +
	"any host could impersonate the server; " +
	"one that wraps an http.Transport with a VerifyConnection needs a method Unwrap() http.RoundTripper")

// Transport is rt for requests that carry or fetch a secret. It checks the connection before a
// request to https is written: if that has no verified chain, or TLS below 1.2, Transport closes
// it, and the error is [ErrUnverified]. If rt wraps another RoundTripper, it has to pass the
// request's context on; otherwise the error comes after the request was sent. An rt other than
// net/http's that shows no TLS is not checked. A nil rt is [http.DefaultTransport].
func Transport(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		rt = http.DefaultTransport
	}
	return &transport{rt, pinned(rt)}
}

type transport struct {
	below  http.RoundTripper
	pinned bool
}

func (t *transport) Unwrap() http.RoundTripper { return t.below }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return t.below.RoundTrip(r)
	}
	var refused atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		c, ok := got.Conn.(interface{ ConnectionState() tls.ConnectionState })
		if !ok {
			return
		}
		if state := c.ConnectionState(); !t.good(&state) {
			refused.Store(true)
			closeRaw(got.Conn)
		}
	}})
	res, err := t.below.RoundTrip(r.WithContext(ctx))
	if err == nil && res.TLS != nil && !t.good(res.TLS) {
		refused.Store(true)
	}
	if !refused.Load() {
		return res, err
	}
	if err == nil {
		_ = res.Body.Close()
	}
	return nil, ErrUnverified
}

// good reports whether the connection has a verified chain: VerifiedChains is empty if and only
// if InsecureSkipVerify was set, on a resumed connection too.
func (t *transport) good(s *tls.ConnectionState) bool {
	return s.Version >= tls.VersionTLS12 && (t.pinned || len(s.VerifiedChains) > 0)
}

// closeRaw closes the connection below TLS, so that nothing more is written to it.
func closeRaw(c net.Conn) {
	for {
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			_ = c.Close()
			return
		}
		c = above.NetConn()
	}
}
