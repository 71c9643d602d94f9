package redial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Config is what [New] compiles. URL is required.
type Config struct {
	_ [0]func()

	// URL is where to connect: wss, without user, fragment or credential.
	URL string

	// Origin is sent as such if set (RFC 6454). Servers demand it of browsers; one
	// that demands it of everybody is told here what to see.
	Origin string

	// Subprotocols are offered, preferred first. If there are any the server must
	// select one of them, or Run ends: nobody then guesses what is spoken.
	Subprotocols []string

	// Header is sent with every handshake, beside what the handshake itself needs.
	// Credentials do not belong here.
	Header http.Header

	// Credential is asked before every dial; nil: none is sent. See [Bearer] and
	// [NewTicket].
	Credential Source

	// HTTPClient dials; nil: one with http.DefaultTransport. Its CheckRedirect and
	// Timeout have no effect: redirects are not followed, and Timeouts.Dial rules.
	HTTPClient *http.Client

	// Greet, if set, runs before the connection's serve and before what was queued
	// goes out: a hello, a subscription. An error ends the connection as one of
	// serve's does.
	Greet func(ctx context.Context, c *Conn) error

	// OnState is told what happens, in order and by one goroutine at a time, which
	// is Run's: it must not block.
	OnState func(State)

	// OnUndelivered is told of every message that was accepted by a Send and not
	// handed to the network whole. It must not block. A payload is the callee's.
	OnUndelivered func(Undelivered)

	// RetryCodes are close codes after which to come back beside those of
	// [ws.CloseError.Retry]: 1000, 1005, 1008, 1014 and the application's 4000-4999.
	RetryCodes []websocket.StatusCode

	Backoff  Backoff
	Limits   Limits
	Timeouts Timeouts

	// DangerouslyAllowPlaintext permits ws:// to a loopback address or localhost,
	// for a development server. No name permits it further (ASVS 4.4.1, 12.2.1).
	DangerouslyAllowPlaintext bool
}

// Backoff is how long to wait between two dials: a random time in [0, window], where
// the window starts at Min and doubles up to Max (full jitter). 0 is the default, a
// negative value an error.
type Backoff struct {
	Min time.Duration // first window; default 0.5 s
	Max time.Duration // last window; default 30 s

	// Spread is the first window after a connection was lost: whoever loses a server
	// does so together with everybody else. Default 8 s: of any number of clients at
	// most an eighth come back in one second. At most Max.
	Spread time.Duration

	// RetryAfter is the most that a server's Retry-After (RFC 9110 §10.2.3) is
	// believed; the random time comes on top. Default 5 min.
	RetryAfter time.Duration
}

// Limits bound memory. 0 is the default, a negative value an error.
type Limits struct {
	Message       int // bytes of one incoming message; default 1 MiB; beyond: 1009, which ends Run
	QueueBytes    int // of messages that wait to be sent; default 1 MiB; beyond: Send refuses
	QueueMessages int // default 1,024; beyond: Send refuses
}

// Timeouts bound how long things may take. 0 is the default, a negative value an error.
type Timeouts struct {
	Dial      time.Duration // for the credential, and again for the handshake; default 10 s
	Write     time.Duration // of one message; default 10 s; beyond: the connection is lost
	Heartbeat time.Duration // silence of the server before it is pinged, less up to a fifth of jitter; default 25 s
	Pong      time.Duration // from the ping to any byte; default 10 s; beyond: cut, 3008 `timeout`
	Close     time.Duration // for the server to answer a close frame; default 2 s, at most 5 s; then TCP is cut
	Stable    time.Duration // a connection's age from which it counts as a success; default 10 s
}

var (
	defaultBackoff = Backoff{
		Min: 500 * time.Millisecond, Max: 30 * time.Second, Spread: 8 * time.Second, RetryAfter: 5 * time.Minute,
	}
	defaultLimits   = Limits{Message: 1 << 20, QueueBytes: 1 << 20, QueueMessages: 1024}
	defaultTimeouts = Timeouts{
		Dial: 10 * time.Second, Write: 10 * time.Second, Heartbeat: 25 * time.Second,
		Pong: 10 * time.Second, Close: 2 * time.Second, Stable: 10 * time.Second,
	}
)

// compile fills in the defaults and reports everything that is wrong.
func (cfg Config) compile() (Config, error) {
	err := errors.Join(
		checkURL(cfg.URL, cfg.DangerouslyAllowPlaintext), checkOrigin(cfg.Origin), checkSubprotocols(cfg.Subprotocols),
		checkHeader(cfg.Header), checkClient(cfg.HTTPClient), checkRetryCodes(cfg.RetryCodes),
		cfg.Backoff.compile(), cfg.Limits.compile(), cfg.Timeouts.compile(),
	)
	cfg.Subprotocols = slices.Clone(cfg.Subprotocols)
	cfg.RetryCodes = slices.Clone(cfg.RetryCodes)
	cfg.Header = cfg.Header.Clone()
	if cfg.Header == nil {
		cfg.Header = http.Header{}
	}
	if cfg.Origin != "" {
		cfg.Header.Set("Origin", cfg.Origin)
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

// checkURL keeps what it quotes to scheme and host: the rest may hold a secret.
func checkURL(raw string, plaintext bool) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return wrong("URL: empty: name the server, wss://…")
	case err != nil:
		return wrong("URL: it does not parse")
	case u.Hostname() == "" || u.Opaque != "":
		return wrong("URL: no host")
	}
	var errs []error
	switch {
	case u.Scheme == "wss":
	case u.Scheme != "ws":
		errs = append(errs, wrong("URL: the scheme is %q, not wss", u.Scheme))
	case !loopback(u.Hostname()):
		errs = append(errs, wrong("URL: ws:// to %s: everybody on the way could read and write (ASVS 4.4.1)", u.Hostname()))
	case !plaintext:
		errs = append(errs, wrong("URL: ws:// without DangerouslyAllowPlaintext"))
	}
	if u.User != nil {
		errs = append(errs, wrong("URL: user or password: use Credential"))
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		errs = append(errs, wrong("URL: a fragment (RFC 6455 §3)"))
	}
	for name := range u.Query() {
		switch strings.ToLower(name) {
		case "ticket", "token", "access_token":
			errs = append(errs, wrong("URL: %s in the query: use Credential", name))
		}
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func checkOrigin(origin string) error {
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != origin || u.Host == "" || u.User != nil {
		return wrong("Origin: %q is not scheme://host[:port] (RFC 6454 §6.2)", origin)
	}
	return nil
}

func checkSubprotocols(list []string) error {
	var errs []error
	for i, s := range list {
		switch {
		case !isToken(s):
			errs = append(errs, wrong("Subprotocols: %q is not a token (RFC 6455 §4.1)", s))
		case slices.Contains(list[:i], s):
			errs = append(errs, wrong("Subprotocols: %q is given twice", s))
		case strings.HasPrefix(s, ticketPrefix), strings.HasPrefix(s, bearerPrefix):
			errs = append(errs, wrong("Subprotocols: %.8q…: a credential: use Credential", s))
		}
	}
	return errors.Join(errs...)
}

// checkHeader refuses what the handshake or a Credential says.
func checkHeader(h http.Header) error {
	var errs []error
	for name := range h {
		switch canonical := http.CanonicalHeaderKey(name); {
		case !isToken(name):
			errs = append(errs, wrong("Header: %q is not a field name", name))
		case canonical == "Authorization":
			errs = append(errs, wrong("Header: Authorization: use Credential"))
		case canonical == "Origin":
			errs = append(errs, wrong("Header: Origin: use Config.Origin"))
		case canonical == "Host", canonical == "Connection", canonical == "Upgrade", strings.HasPrefix(canonical, "Sec-"):
			errs = append(errs, wrong("Header: %s is the handshake's own", canonical))
		}
	}
	return errors.Join(errs...)
}

// checkClient refuses the one setting with which TLS proves nothing.
func checkClient(c *http.Client) error {
	if c == nil {
		return nil
	}
	t, ok := c.Transport.(*http.Transport)
	if ok && t.TLSClientConfig != nil && t.TLSClientConfig.InsecureSkipVerify && t.TLSClientConfig.VerifyConnection == nil {
		return wrong("HTTPClient: InsecureSkipVerify without VerifyConnection: anybody could be the server")
	}
	if ok && t.TLSClientConfig != nil && t.TLSClientConfig.MaxVersion != 0 && t.TLSClientConfig.MaxVersion < tls.VersionTLS12 {
		return wrong("HTTPClient: MaxVersion below TLS 1.2 (RFC 8996)")
	}
	return nil
}

func checkRetryCodes(codes []websocket.StatusCode) error {
	var errs []error
	for _, code := range codes {
		if !slices.Contains([]websocket.StatusCode{1000, 1005, 1008, 1014}, code) && (code < 4000 || code > 4999) {
			errs = append(errs, wrong("RetryCodes: %d is not 1000, 1005, 1008, 1014 or 4000-4999", code))
		}
	}
	return errors.Join(errs...)
}

func (b *Backoff) compile() error {
	d := defaultBackoff
	err := errors.Join(
		fill("Backoff.Min", &b.Min, d.Min),
		fill("Backoff.Max", &b.Max, max(d.Max, b.Min)),
		fill("Backoff.RetryAfter", &b.RetryAfter, d.RetryAfter),
	)
	err = errors.Join(err, fill("Backoff.Spread", &b.Spread, min(d.Spread, max(b.Max, 0))))
	if err == nil && (b.Min > b.Max || b.Spread > b.Max) {
		err = wrong("Backoff: Max, %v, is less than Min, %v, or Spread, %v", b.Max, b.Min, b.Spread)
	}
	return err
}

func (l *Limits) compile() error {
	d := defaultLimits
	return errors.Join(
		fill("Limits.Message", &l.Message, d.Message),
		fill("Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		fill("Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
	)
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	err := errors.Join(
		fill("Timeouts.Dial", &t.Dial, d.Dial),
		fill("Timeouts.Write", &t.Write, d.Write),
		fill("Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		fill("Timeouts.Pong", &t.Pong, d.Pong),
		fill("Timeouts.Close", &t.Close, d.Close),
		fill("Timeouts.Stable", &t.Stable, d.Stable),
	)
	if t.Close > 5*time.Second {
		err = errors.Join(err, wrong("Timeouts.Close: %v is more than 5s", t.Close))
	}
	return err
}

// fill puts the default in the place of 0.
func fill[T int | time.Duration](name string, v *T, def T) error {
	if *v < 0 {
		return wrong("%s: %v is negative; 0 is the default, %v, and there is no unlimited", name, *v, def)
	}
	if *v == 0 {
		*v = def
	}
	return nil
}

// isToken follows RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	}) < 0
}
