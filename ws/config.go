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

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/internal/setting"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// Config is what [New] compiles. Origins, Auth, Live and Serve are required; in every other
// field zero means the documented default.
type Config struct {
	_ [0]func()

	// Origins decides which pages may open a connection (RFC 6455 §10.2, ASVS 4.4.2).
	Origins *middleware.OriginPolicy

	// Auth decides which principals may. The same Auth in an outer layer is not asked again.
	Auth *middleware.Auth

	// Serve is one connection's life. Its context ends with the connection and
	// carries the principal; its cause is the [CloseError]. Returning nil closes
	// with 1000 once the queue is sent, a *CloseError with its code, any
	// other error with 1011. A panic is contained, logged
	// without its value (see [middleware.DangerouslyLogPanicText]) and closes with 1011.
	//
	// It should read, or call [Conn.PushOnly], all the time: a reader notices at once that
	// the peer has left. If it waits for the context instead, a failing ping tells, one
	// or two heartbeats later; see [Conn.Read].
	Serve func(ctx context.Context, c *Conn) error

	// Authorize decides whether this principal may open this connection, while it is
	// still HTTP, and may hand a value over to Serve: [Conn.Value]. A [middleware.Refusal]
	// is answered unchanged, any other error with 403; a panic with 500. If Auth and
	// Authorize together have no answer within 2 s, that is 503, and the request's context
	// ends. Nil: every principal that Auth admits.
	//
	// It is asked once, and not at a recheck. A permission that is taken back later ends the
	// connection by session.Manager.SetRoles, after which the client comes back and is asked
	// about again; by [live.Registry.End]; or by an Auth whose Alive answers
	// [middleware.Forbidden].
	Authorize func(r *http.Request, p middleware.Principal) (value any, err error)

	// Validate sees every message before Read returns it (ASVS 2.2.1, 2.2.2). A
	// *CloseError ends the connection as it says, any other error with 1008
	// `invalid`. It must not keep p. Under [SealedPrefix] it sees records, and not what
	// is in them.
	Validate func(ctx context.Context, typ websocket.MessageType, p []byte) error

	// Live owns the connections: it bounds how many there are, ends them with their
	// credentials, and when the process shuts down. One registry for all handlers of a
	// process is usual: live.New(live.Config{}).
	Live *live.Registry

	// Hosts are the Host values served (DNS rebinding); nil: all, or those that a
	// HostPolicy in front admits. If a wildcard of Origins admits the page and a wildcard
	// of Hosts the host, the two have the same name: tenants are kept apart.
	Hosts *middleware.HostPolicy

	// Proxies may say that the client's side was https, and which host it asked for, for
	// Origins and Hosts; nil: only TLS to this server and the Host of the request count. A
	// [middleware.Proxies] in front as a layer does not change that: name it here, too.
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
	// Any other refusal stays HTTP, and so does every refusal beyond
	// live.Limits.ReadableRefusals: a page sees 1006 there. No such connection is served.
	// Refusals of layers in front of the handler are readable inside
	// [Handler.ExplainRefusals].
	ExplainRefusals bool

	Limits   Limits
	Timeouts Timeouts

	// Log gets a line when a connection ends, and one per request unless an
	// outer AccessLog writes it; nil: slog.Default.
	Log *slog.Logger

	// DangerouslyAllowPlaintext serves ws:// too, for a development server on
	// localhost (ASVS 4.4.1 forbids it anywhere else).
	DangerouslyAllowPlaintext bool
}

// Limits bound what connections may use. 0 is the default, a negative value an
// error; "unlimited" does not exist.
type Limits struct {
	Message           int // bytes of one incoming message; default 65,536; beyond: 1009
	Frames            int // frames of one incoming message; default 1,024; beyond: 1009
	MessagesPerSecond int // incoming, sustained; default 100; beyond: 1008 `rate`
	MessageBurst      int // incoming, at once; default 2 × MessagesPerSecond, and 1,024 more if that is not set: the whole queue of a client that comes back
	BytesPerSecond    int // incoming, sustained; default a quarter of MessagesPerSecond × Message; beyond: 1008 `rate`
	ByteBurst         int // incoming, at once; default 4 × BytesPerSecond, at least 2 × Message
	ControlPerSecond  int // pings and pongs of the peer, and pings of package browser, answers to our pings not counted, sustained; default 10, burst ten times that; beyond: 1008 `rate`
	QueueBytes        int // of messages sent and not yet written; default 1 MiB; beyond: 1013 `slow`
	QueueMessages     int // default 1,024; beyond: 1013 `slow`
}

// Timeouts bound how long things may take. 0 is the default, a negative value an
// error. They are kept with a resolution of a quarter of a second.
type Timeouts struct {
	Message      time.Duration // from a message's first byte to its last; default 30 s; beyond: 3008 `timeout`
	FirstMessage time.Duration // from the upgrade to the end of the first message; default: none, for connections that only listen; beyond: 3008 `timeout`
	Write        time.Duration // without progress of a write; default 10 s; beyond: cut, 1013 `slow`
	Idle         time.Duration // without a message either way; default: none, since a peer that answers pings is there; beyond: 3008 `idle`
	Heartbeat    time.Duration // silence of the peer before it is pinged, while Serve reads, less up to a fifth of jitter; default 25 s; a ping that takes a second to write: 1013 `slow`
	Pong         time.Duration // from the ping to any byte; default 10 s; beyond: cut, 3008 `timeout`
	Close        time.Duration // for the peer to answer a close frame; default 2 s; then TCP is cut
}

var (
	defaultLimits = Limits{
		Message: defaults.Message, Frames: 1024, MessagesPerSecond: defaults.MessagesPerSecond,
		ControlPerSecond: 10, QueueBytes: defaults.QueueBytes, QueueMessages: defaults.QueueMessages,
	}
	defaultTimeouts = Timeouts{
		Message: 30 * time.Second, Write: defaults.Write,
		Heartbeat: defaults.Heartbeat, Pong: defaults.Pong, Close: defaults.Close,
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
	if cfg.Live == nil {
		report("Live: nil: nothing would bound and end the connections; set live.New(live.Config{}), one for all handlers")
	}
	if cfg.Origins != nil && cfg.Origins.AllowsAny() && cfg.Auth.Ambient() {
		report("Origins: any origin together with a credential that browsers send automatically: every page on the internet could act as the user")
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
	if cfg.Proxies != nil {
		cfg.Origins, cfg.Hosts = cfg.Origins.Behind(cfg.Proxies), cfg.Hosts.Behind(cfg.Proxies)
	}
	errs = append(errs, cfg.Limits.compile(), cfg.Timeouts.compile())
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return cfg, errors.Join(errs...)
}

func (l *Limits) compile() error {
	d := defaultLimits
	rated := l.MessagesPerSecond != 0
	perSecond := setting.Fill("ws", "Limits.MessagesPerSecond", &l.MessagesPerSecond, d.MessagesPerSecond)
	message := setting.Fill("ws", "Limits.Message", &l.Message, d.Message)
	d.MessageBurst = defaults.MessageBurst
	if rated {
		d.MessageBurst = 2 * min(l.MessagesPerSecond, math.MaxInt/2)
	}
	d.BytesPerSecond = max(1, product(max(1, l.MessagesPerSecond), max(1, l.Message))/4)
	bytes := setting.Fill("ws", "Limits.BytesPerSecond", &l.BytesPerSecond, d.BytesPerSecond)
	d.ByteBurst = max(product(4, max(1, l.BytesPerSecond)), product(2, max(1, l.Message)))
	errs := []error{
		message, perSecond, bytes,
		setting.Fill("ws", "Limits.Frames", &l.Frames, d.Frames),
		setting.Fill("ws", "Limits.MessageBurst", &l.MessageBurst, d.MessageBurst),
		setting.Fill("ws", "Limits.ByteBurst", &l.ByteBurst, d.ByteBurst),
		setting.Fill("ws", "Limits.ControlPerSecond", &l.ControlPerSecond, d.ControlPerSecond),
		setting.Fill("ws", "Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		setting.Fill("ws", "Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
	}
	if errors.Join(errs...) == nil && l.ByteBurst < l.Message {
		errs = append(errs, fmt.Errorf("ws: Limits.ByteBurst: %d is less than Limits.Message, %d: a message of that size could never come", l.ByteBurst, l.Message))
	}
	return errors.Join(errs...)
}

// named returns the limits of a client for the Securews-Limits header of the 101: bytes of one
// message, messages per second and at once, bytes per second and at once.
func (l *Limits) named() string {
	return fmt.Sprintf("message=%d, rate=%d, burst=%d, bytes=%d, byte-burst=%d",
		l.Message, l.MessagesPerSecond, l.MessageBurst, l.BytesPerSecond, l.ByteBurst)
}

// product is a × b, or the largest int.
func product(a, b int) int {
	if a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	errs := []error{
		setting.Fill("ws", "Timeouts.Message", &t.Message, d.Message),
		setting.Fill("ws", "Timeouts.FirstMessage", &t.FirstMessage, 0),
		setting.Fill("ws", "Timeouts.Write", &t.Write, d.Write),
		setting.Fill("ws", "Timeouts.Idle", &t.Idle, 0),
		setting.Fill("ws", "Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		setting.Fill("ws", "Timeouts.Pong", &t.Pong, d.Pong),
		setting.Fill("ws", "Timeouts.Close", &t.Close, d.Close),
	}
	return errors.Join(errs...)
}
