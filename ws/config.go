package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
)

// Config is what [New] compiles. Origins, Auth and Serve are required.
type Config struct {
	_ [0]func()

	// Origins decides which pages may open a connection (RFC 6455 §10.2, ASVS 4.4.2).
	Origins *middleware.OriginPolicy

	// Auth decides who may. The same Auth further out is not asked again.
	Auth *middleware.Auth

	// Serve is one connection's life. Its context ends with the connection and
	// carries the principal; its cause is the [CloseError]. Returning nil closes
	// with 1000 once what was queued is sent, a *CloseError with its code, any
	// other error with 1011. A panic is contained, logged and closes with 1011.
	Serve func(ctx context.Context, c *Conn) error

	// Authorize says whether this principal may open this connection, while it is
	// still HTTP. A [middleware.Refusal] is answered as it is, any other error with
	// 403.
	Authorize func(r *http.Request, p middleware.Principal) error

	// Revalidate is asked every Timeouts.Recheck whether the connection may go on.
	// A *CloseError ends it as it says; a Refusal of 401 ends it with 3000 and one
	// of 403 with 3003; any other error means that nobody knows, and the connection
	// lives until Timeouts.Stale has passed since the last good answer. Its context
	// ends after 5 s.
	Revalidate func(ctx context.Context, p middleware.Principal) error

	// Validate sees every message before Read returns it (ASVS 2.2.1, 2.2.2). A
	// *CloseError ends the connection as it says, any other error with 1008
	// `invalid`. It must not keep p. Under [SealedPrefix] it sees records, and not what
	// is in them.
	Validate func(ctx context.Context, typ websocket.MessageType, p []byte) error

	// Revocations closes live connections: asked at the handshake and every
	// Timeouts.Recheck, followed in between.
	Revocations middleware.Revocations

	// Hosts, if set, are the Host values served (DNS rebinding).
	Hosts *middleware.HostPolicy

	// Proxies, if set, may say that the client's side was https.
	Proxies *middleware.Proxies

	// Subprotocols are those spoken here. A client that offers some is answered
	// with the first of its own that is here, or refused with 400: browsers fail a
	// connection for which they asked and nothing was selected.
	Subprotocols []string

	// ExplainRefusals tells pages why they are refused, since a browser shows a script
	// nothing of a refused handshake but close code 1006. Where TLS, handshake, host,
	// origin and subprotocol are in order and the client has an Origin, the upgrade is
	// completed and closed at once: the page sees an open event, and then the code and
	// reason that a live connection would end with.
	//
	//	401 credential_expired       3000 `expired`
	//	401 credential_revoked       3000 `revoked`
	//	401, otherwise               3000 `reauth`
	//	403                          3003 `forbidden`
	//	503 draining                 1012 `restart`
	//	429, 503 otherwise           1013 `later`
	//
	// Whatever is not in this table stays HTTP, and so does everything beyond
	// Limits.ExplainRefusals: a page sees 1006 there. No such connection is served. What
	// layers in front of the handler refuse is readable inside [Handler.ExplainRefusals].
	ExplainRefusals bool

	Limits   Limits
	Timeouts Timeouts

	// Log gets a line when a connection ends, and one per request unless an
	// AccessLog further out writes it; nil: slog.Default.
	Log *slog.Logger

	// DangerouslyAllowPlaintext serves ws:// too, for a development server on
	// localhost (ASVS 4.4.1 forbids it anywhere else).
	DangerouslyAllowPlaintext bool
}

// Limits bound what connections may use. 0 is the default, a negative value an
// error; there is no "unlimited".
type Limits struct {
	Message           int // bytes of one incoming message; default 65,536; beyond: 1009
	Frames            int // frames of one incoming message; default 1,024; beyond: 1009
	Connections       int // in all; default 10,000; beyond: 503 with Retry-After
	PerPrincipal      int // per issuer and subject, the anonymous not counted; default 64; beyond: 429
	MessagesPerSecond int // incoming, sustained; default 100; beyond: 1008 `rate`
	MessageBurst      int // incoming, at once; default 2 × MessagesPerSecond
	ControlPerSecond  int // pings and pongs of the peer, sustained; default 10, burst ten times that; beyond: 1008 `rate`
	QueueBytes        int // of messages sent and not yet written; default 1 MiB; beyond: 1013 `slow`
	QueueMessages     int // default 1,024; beyond: 1013 `slow`
	ReadableRefusals  int // connections at once that are there to say why they are refused; default 64; beyond: HTTP
}

// Timeouts bound how long things may take. 0 is the default, a negative value an
// error. They are kept with a resolution of a quarter of a second.
type Timeouts struct {
	Message     time.Duration // from a message's first byte to its last; default 30 s; beyond: 3008 `timeout`
	Write       time.Duration // of one frame; default 10 s; beyond: cut, 1013 `slow`
	Idle        time.Duration // without a message either way; default 15 min; beyond: 3008 `idle`
	Heartbeat   time.Duration // silence of the peer before it is pinged, less up to a fifth of jitter; default 25 s; a ping that takes a second to write: 1013 `slow`
	Pong        time.Duration // from the ping to any byte; default 10 s; beyond: cut, 3008 `timeout`
	Recheck     time.Duration // between two questions to Revocations and Revalidate; default 5 min
	Stale       time.Duration // since their last good answer; default 15 min or 3 × Recheck, at least 2 × Recheck; beyond: 1013 `later`
	MaxAge      time.Duration // of a connection; default 24 h; beyond: 3000 `reauth`
	Close       time.Duration // for the peer to answer a close frame; default 2 s; then TCP is cut
	DrainSpread time.Duration // over which Drain spreads its close frames; default 5 s
}

var (
	defaultLimits = Limits{
		Message: 64 << 10, Frames: 1024, Connections: 10_000, PerPrincipal: 64,
		MessagesPerSecond: 100, ControlPerSecond: 10, QueueBytes: 1 << 20, QueueMessages: 1024,
		ReadableRefusals: 64,
	}
	defaultTimeouts = Timeouts{
		Message: 30 * time.Second, Write: 10 * time.Second, Idle: 15 * time.Minute,
		Heartbeat: 25 * time.Second, Pong: 10 * time.Second, Recheck: 5 * time.Minute,
		Stale: 15 * time.Minute, MaxAge: 24 * time.Hour, Close: 2 * time.Second, DrainSpread: 5 * time.Second,
	}
)

// compile fills in the defaults and reports everything that is wrong.
func (cfg Config) compile() (Config, error) {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ws: "+format, args...)) }
	if cfg.Origins == nil {
		report("Origins: nil: a handshake is a GET that no CSRF layer guards; name the pages that may open it")
	}
	if cfg.Auth == nil {
		report("Auth: nil: name who may connect, or middleware.Anonymous()")
	}
	if cfg.Serve == nil {
		report("Serve: nil: nothing would run the connection")
	}
	if cfg.Origins != nil && cfg.Origins.AllowsAny() && cfg.Auth.Ambient() {
		report("Origins: any origin together with a credential that browsers send unasked: every page on the internet could act as the user")
	}
	seen := map[string]bool{}
	for _, s := range cfg.Subprotocols {
		switch {
		case !opening.IsToken(s):
			report("Subprotocols: %q is not a token (RFC 6455 §4.1)", s)
		case seen[s]:
			report("Subprotocols: %q is given twice", s)
		}
		seen[s] = true
	}
	cfg.Subprotocols = slices.Clone(cfg.Subprotocols)
	errs = append(errs, cfg.Limits.compile(), cfg.Timeouts.compile())
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return cfg, errors.Join(errs...)
}

func (l *Limits) compile() error {
	d := defaultLimits
	perSecond := fill("Limits.MessagesPerSecond", &l.MessagesPerSecond, d.MessagesPerSecond)
	d.MessageBurst = 2 * min(l.MessagesPerSecond, math.MaxInt/2)
	return errors.Join(
		fill("Limits.Message", &l.Message, d.Message),
		fill("Limits.Frames", &l.Frames, d.Frames),
		fill("Limits.Connections", &l.Connections, d.Connections),
		fill("Limits.PerPrincipal", &l.PerPrincipal, d.PerPrincipal),
		perSecond,
		fill("Limits.MessageBurst", &l.MessageBurst, d.MessageBurst),
		fill("Limits.ControlPerSecond", &l.ControlPerSecond, d.ControlPerSecond),
		fill("Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		fill("Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
		fill("Limits.ReadableRefusals", &l.ReadableRefusals, d.ReadableRefusals),
	)
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	recheck := fill("Timeouts.Recheck", &t.Recheck, d.Recheck)
	d.Stale = max(d.Stale, 3*t.Recheck)
	stale := fill("Timeouts.Stale", &t.Stale, d.Stale)
	if stale == nil && recheck == nil && t.Stale < 2*t.Recheck {
		stale = fmt.Errorf("ws: Timeouts.Stale: %v is less than twice Recheck, %v: connections would end before they are asked about", t.Stale, t.Recheck)
	}
	return errors.Join(
		recheck, stale,
		fill("Timeouts.Message", &t.Message, d.Message),
		fill("Timeouts.Write", &t.Write, d.Write),
		fill("Timeouts.Idle", &t.Idle, d.Idle),
		fill("Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		fill("Timeouts.Pong", &t.Pong, d.Pong),
		fill("Timeouts.MaxAge", &t.MaxAge, d.MaxAge),
		fill("Timeouts.Close", &t.Close, d.Close),
		fill("Timeouts.DrainSpread", &t.DrainSpread, d.DrainSpread),
	)
}

// maxTimeout keeps sums of times from overflowing.
const maxTimeout = 10 * 365 * 24 * time.Hour

// fill puts the default in the place of 0.
func fill[T int | time.Duration](name string, v *T, def T) error {
	if *v < 0 {
		return fmt.Errorf("ws: %s: %v is negative; 0 is the default, %v, and there is no unlimited", name, *v, def)
	}
	if d, ok := any(*v).(time.Duration); ok && d > maxTimeout {
		return fmt.Errorf("ws: %s: %v is longer than ten years; there is no unlimited", name, d)
	}
	if *v == 0 {
		*v = def
	}
	return nil
}
