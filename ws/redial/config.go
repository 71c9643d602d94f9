package redial

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/coder/websocket"
)

// Config is what [New] compiles. URL is required.
type Config struct {
	_ [0]func()

	// URL is the address of the server: wss, without user, fragment or credential.
	URL string

	// Origin, if set, is sent as the Origin header (RFC 6454). Servers require it of
	// browsers; set it for a server that requires it of every client.
	Origin string

	// Subprotocols are offered, preferred first. If any are given, the server must select
	// one of them, or Run ends.
	Subprotocols []string

	// Header is sent with every handshake, beside the fields of the handshake itself. It
	// must not contain credentials.
	Header http.Header

	// Credential is called before every dial; nil: no credential is sent. See [Bearer] and
	// [NewTicket].
	Credential Source

	// HTTPClient dials; nil: one with http.DefaultTransport. Its CheckRedirect and Timeout
	// have no effect: redirects are not followed, and Timeouts.Dial applies. Its Transport must
	// verify the server's certificate. One that does not is refused by New if it is an
	// http.Transport, or has a method Unwrap() http.RoundTripper that leads to one. Another type
	// is found out at the dial, and ends Run: before the handshake, and thus the credential, is
	// sent if it passes the request's context on, else before the connection is used. A Transport
	// whose responses show no TLS, because it uses another library, is trusted.
	HTTPClient *http.Client

	// Greet, if set, runs on every connection before serve and before the queued messages
	// are sent, for instance to subscribe. An error ends the connection as an error of serve
	// does.
	Greet func(ctx context.Context, c *Conn) error

	// OnState is called for every change of state, in order and by one goroutine at a time,
	// that of Run. It must not block.
	OnState func(State)

	// OnUndelivered is called for every message that a Send accepted and that was not
	// handed to the network completely, or that the server had not confirmed when the
	// connection ended. It must not block. It may keep the payload.
	OnUndelivered func(Undelivered)

	// RetryCodes are further close codes after which to reconnect, beside those of
	// [ws.CloseError.Retryable]: 1000, 1005, 1008 and the application's 4000-4999.
	RetryCodes []websocket.StatusCode

	// RetryStatuses are further HTTP statuses after which to dial again, 400-599, beside those
	// of [HandshakeError.Retryable]: for refusals by the server that pass, such as its 403.
	RetryStatuses []int

	Backoff  Backoff
	Limits   Limits
	Timeouts Timeouts

	// DangerouslyAllowLocalHTTP permits ws:// to a loopback address or localhost,
	// for a development server. Nothing permits it to other hosts (ASVS 4.4.1, 12.2.1).
	DangerouslyAllowLocalHTTP bool
}

// compile fills in the defaults and reports every problem.
func (cfg Config) compile() (Config, error) {
	err := errors.Join(
		checkURL(cfg.URL, cfg.DangerouslyAllowLocalHTTP), checkOrigin(cfg.Origin), checkSubprotocols(cfg.Subprotocols),
		checkHeader(cfg.Header), checkClient(cfg.HTTPClient), checkRetryCodes(cfg.RetryCodes), checkRetryStatuses(cfg.RetryStatuses),
		cfg.Backoff.compile(), cfg.Limits.compile(), cfg.Timeouts.compile(),
	)
	cfg.Subprotocols = slices.Clone(cfg.Subprotocols)
	cfg.RetryCodes = slices.Clone(cfg.RetryCodes)
	cfg.RetryStatuses = slices.Clone(cfg.RetryStatuses)
	cfg.Header = cfg.Header.Clone()
	if cfg.Header == nil {
		cfg.Header = http.Header{}
	}
	if cfg.Origin != "" {
		cfg.Header.Set("Origin", cfg.Origin)
	}
	if len(cfg.Header["Accept"]) == 0 {
		cfg.Header.Set("Accept", problemType) // a server that explains refusals to pages need not to this client
	}
	if cfg.OnState == nil {
		cfg.OnState = func(State) {}
	}
	if cfg.OnUndelivered == nil {
		cfg.OnUndelivered = func(Undelivered) {}
	}
	return cfg, err
}
