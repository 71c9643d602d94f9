package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// Config is what [New] compiles. Origins, Auth, Live and Serve are required; in every other
// field zero means the documented default.
type Config struct {
	_ [0]func()

	// Origins decides which pages may open a connection (RFC 6455 §10.2, ASVS 4.4.2).
	Origins *middleware.OriginPolicy

	// Auth decides which principals may open one. The same Auth in an outer layer is not asked again.
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
	// [middleware.Forbidden]. It is called concurrently.
	Authorize func(r *http.Request, p middleware.Principal) (value any, err error)

	// Validate sees every message before Read returns it (ASVS 2.2.1, 2.2.2). A
	// *CloseError ends the connection as it says, any other error with 1008
	// `invalid`. It must not keep p. It is called in the goroutine that reads, and so
	// concurrently for several connections. Under [SealedPrefix] it sees sealed records; see
	// Server.Seal in package seal. Nil: every message is valid.
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
	// connection for which they asked and nothing was selected. Empty: none is spoken, and a
	// client that offers any is refused.
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

	// DangerouslyAllowPlaintext serves ws:// too, and to every machine: it is for a development
	// server that listens on localhost (ASVS 4.4.1 forbids it anywhere else).
	DangerouslyAllowPlaintext bool
}

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
		report("Origins: any origin together with a credential that browsers send automatically: every page on " +
			"the internet could act as the user")
	}
	seen := map[string]bool{}
	for _, s := range cfg.Subprotocols {
		switch {
		case !opening.IsToken(s):
			report("Subprotocols: %q is not a token (RFC 6455 §4.1)", s)
		case seen[s]:
			report("Subprotocols: %q is given twice", s)
		case s == SealedPrefix:
			report("Subprotocols: none for a sealed route, which no client could open: name the application, " +
				"as ClientConfig.App of package seal does, such as \"chat\"")
		case strings.HasPrefix(s, SealedPrefix+SealedPrefix):
			report("Subprotocols: %q is sealed twice: Seal and Subprotocols of package seal add the %q", s, SealedPrefix)
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

// rules returns those of its connections with these limits.
func (cfg *Config) rules(l *Limits) *rules {
	return &rules{
		limits: *l, named: []string{l.named()}, timeouts: cfg.Timeouts, validate: cfg.Validate, live: cfg.Live, log: cfg.Log,
		messages: newRate(l.MessagesPerSecond, l.MessageBurst),
		bytes:    newRate(l.BytesPerSecond, l.ByteBurst),
		controls: newRate(l.ControlPerSecond, min(10*min(l.ControlPerSecond, 1<<20), 1<<20)),
	}
}
