package redial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/setting"
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

	// DangerouslyAllowPlaintext permits ws:// to a loopback address or localhost,
	// for a development server. Nothing permits it to other hosts (ASVS 4.4.1, 12.2.1).
	DangerouslyAllowPlaintext bool
}

// Backoff bounds the wait between two dials: a random time in [0, window]. The window
// starts at Min and doubles up to Max (full jitter). 0 is the default, a negative value an
// error.
type Backoff struct {
	Min time.Duration // first window; default 0.5 s
	Max time.Duration // last window; default 30 s

	// Spread is the first window after an open connection was lost, because all clients of
	// a failed server lose their connections at the same moment. Default 8 s: at most an
	// eighth of them return in any one second. At most Max.
	Spread time.Duration

	// RetryAfter caps a server's Retry-After (RFC 9110 §10.2.3); the random time is added
	// to it. Default 5 min.
	RetryAfter time.Duration
}

// Limits bound memory. 0 is the default, a negative value an error.
type Limits struct {
	Message       int // bytes of one incoming message; default 1 MiB; beyond: 1009, which ends Run
	Outgoing      int // bytes of one message to send; default 65,536, unless the server names its limit; beyond: [ErrTooBig]
	QueueBytes    int // of messages that wait to be sent; default 1 MiB; beyond: [ErrQueueFull]
	QueueMessages int // default 1,024; beyond: [ErrQueueFull]
}

// Timeouts bound the steps of a connection. 0 is the default, a negative value an error.
type Timeouts struct {
	Dial      time.Duration // for the credential, and again for the handshake; default 10 s
	Write     time.Duration // of one message; default 10 s; beyond: the connection is cut
	Heartbeat time.Duration // silence of the server before it is pinged, less up to a fifth of jitter; default 25 s
	Pong      time.Duration // from the ping to any byte; default 10 s; beyond: cut, 3008 `timeout`
	Close     time.Duration // for the server to answer a close frame; default 2 s, at most 5 s; then TCP is cut
	Stable    time.Duration // age at which a connection counts as a success; default 10 s
}

var (
	defaultBackoff = Backoff{
		Min: defaults.FirstDelay, Max: defaults.LastDelay, Spread: defaults.Spread, RetryAfter: defaults.RetryAfter,
	}
	defaultLimits = Limits{
		Message: 1 << 20, Outgoing: defaults.Message,
		QueueBytes: defaults.QueueBytes, QueueMessages: defaults.QueueMessages,
	}
	defaultTimeouts = Timeouts{
		Dial: defaults.Dial, Write: defaults.Write, Heartbeat: defaults.Heartbeat,
		Pong: defaults.Pong, Close: defaults.Close, Stable: defaults.Stable,
	}
)

// compile fills in the defaults and reports every problem.
func (cfg Config) compile() (Config, error) {
	err := errors.Join(
		checkURL(cfg.URL, cfg.DangerouslyAllowPlaintext), checkOrigin(cfg.Origin), checkSubprotocols(cfg.Subprotocols),
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

func wrong(format string, args ...any) error { return fmt.Errorf("redial: "+format, args...) }

func (b *Backoff) compile() error {
	d := defaultBackoff
	err := errors.Join(
		setting.Fill("redial", "Backoff.Min", &b.Min, d.Min),
		setting.Fill("redial", "Backoff.Max", &b.Max, max(d.Max, b.Min)),
		setting.Fill("redial", "Backoff.RetryAfter", &b.RetryAfter, d.RetryAfter),
	)
	err = errors.Join(err, setting.Fill("redial", "Backoff.Spread", &b.Spread, min(d.Spread, max(b.Max, 0))))
	if err == nil && (b.Min > b.Max || b.Spread > b.Max) {
		err = wrong("Backoff: Max, %v, is less than Min, %v, or Spread, %v", b.Max, b.Min, b.Spread)
	}
	return err
}

func (l *Limits) compile() error {
	d := defaultLimits
	return errors.Join(
		setting.Fill("redial", "Limits.Message", &l.Message, d.Message),
		setting.Fill("redial", "Limits.Outgoing", &l.Outgoing, d.Outgoing),
		setting.Fill("redial", "Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		setting.Fill("redial", "Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
	)
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	err := errors.Join(
		setting.Fill("redial", "Timeouts.Dial", &t.Dial, d.Dial),
		setting.Fill("redial", "Timeouts.Write", &t.Write, d.Write),
		setting.Fill("redial", "Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		setting.Fill("redial", "Timeouts.Pong", &t.Pong, d.Pong),
		setting.Fill("redial", "Timeouts.Close", &t.Close, d.Close),
		setting.Fill("redial", "Timeouts.Stable", &t.Stable, d.Stable),
	)
	if t.Close > 5*time.Second {
		err = errors.Join(err, wrong("Timeouts.Close: %v is more than 5s", t.Close))
	}
	return err
}
