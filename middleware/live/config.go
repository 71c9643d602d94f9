package live

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/securews/securews/internal/setting"
	"github.com/securews/securews/middleware"
)

// Config is what [New] compiles. The zero value is valid, with the default of each field.
type Config struct {
	_ [0]func()

	Limits   Limits
	Timeouts Timeouts

	// Proxies finds the client's address for Limits.PerAddress; nil: the innermost
	// [middleware.Proxies] around, or else the other end of the connection.
	Proxies *middleware.Proxies

	// Events is called for each [Event], for metrics and audit logs: in their order, one
	// call at a time. No connection waits for it. Beyond 4 × Limits.Connections events
	// that it has not taken, further ones are dropped, and counted in [Stats] and in the log;
	// Shutdown waits 1 s for the last. Nil: none.
	Events func(Event)

	// Log receives reports that no client sees: questions without an answer, members that
	// do not return or panic. Nil: slog.Default.
	Log *slog.Logger
}

// Limits bound the number of members. 0 is the default, a negative value an error; no value
// means "unlimited".
type Limits struct {
	// Connections is in all, those being opened included. Default 10,000. Beyond: 503
	// `overloaded` with Retry-After.
	Connections int

	// PerPrincipal is per issuer and subject; the anonymous are not counted. Default 64, or
	// Connections if that is less. Beyond: 429 `too_many_connections`.
	PerPrincipal int

	// PerAddress is per client address, IPv6 by its /64; unknown ones are not counted. Default
	// a tenth of Connections, at least 1. Beyond: 429 `too_many_connections`.
	PerAddress int

	// ReadableRefusals are connections at once that are completed only to report a refusal.
	// Default 64.
	ReadableRefusals int
}

// Timeouts bound how long a credential is trusted without asking, and how a shutdown is
// spread. 0 is the default, a negative value an error. They are kept with a resolution of a
// quarter of a second, Grace exactly.
type Timeouts struct {
	// Recheck is the time between two questions to the Auth whether a credential is good, less
	// up to a fifth of jitter, and less if a credential asks for that ([middleware.RecheckBy]).
	// Default 5 min.
	Recheck time.Duration

	// Stale counts from the last good answer, without the time in which a member waits to be
	// asked about while the Auth answers about others. Default 15 min, or 3 × Recheck if that is
	// longer; less than 2 × Recheck is an error. Beyond: 1013 `later`.
	Stale time.Duration

	// MaxAge is that of a connection, less up to a tenth of jitter. Default 24 h. Beyond: 3000
	// `reauth`.
	MaxAge time.Duration

	// Grace is for what [Registry.Handler] binds: from the end of the context to refused writes,
	// and from there to the cut; of a hijacked connection, from the close frame to the cut.
	// Default 1 s.
	Grace time.Duration

	// Spread is the time over which Shutdown spreads the ends, at most half of the time that its
	// context leaves. Default 5 s.
	Spread time.Duration
}

var (
	defaultLimits   = Limits{Connections: 10_000, PerPrincipal: 64, ReadableRefusals: 64}
	defaultTimeouts = Timeouts{
		Recheck: 5 * time.Minute, Stale: 15 * time.Minute,
		MaxAge: 24 * time.Hour, Grace: time.Second, Spread: 5 * time.Second,
	}
)

// compile fills in the defaults and reports everything that is wrong.
func (cfg Config) compile() (Config, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return cfg, errors.Join(cfg.Limits.compile(), cfg.Timeouts.compile())
}

func (l *Limits) compile() error {
	d := defaultLimits
	connections := setting.Fill("live", "Limits.Connections", &l.Connections, d.Connections)
	d.PerPrincipal = min(d.PerPrincipal, max(1, l.Connections))
	d.PerAddress = max(1, l.Connections/10)
	errs := []error{
		connections,
		setting.Fill("live", "Limits.PerPrincipal", &l.PerPrincipal, d.PerPrincipal),
		setting.Fill("live", "Limits.PerAddress", &l.PerAddress, d.PerAddress),
		setting.Fill("live", "Limits.ReadableRefusals", &l.ReadableRefusals, d.ReadableRefusals),
	}
	if connections == nil {
		errs = append(errs, within("Limits.PerPrincipal", l.PerPrincipal, l.Connections),
			within("Limits.PerAddress", l.PerAddress, l.Connections))
	}
	return errors.Join(errs...)
}

func within(name string, n, connections int) error {
	if n > connections {
		return fmt.Errorf("live: %s: %d is more than Limits.Connections, %d, and would have no effect", name, n, connections)
	}
	return nil
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	recheck := setting.Fill("live", "Timeouts.Recheck", &t.Recheck, d.Recheck)
	d.Stale = max(d.Stale, 3*t.Recheck)
	stale := setting.Fill("live", "Timeouts.Stale", &t.Stale, d.Stale)
	if stale == nil && recheck == nil && t.Stale < 2*t.Recheck {
		stale = fmt.Errorf("live: Timeouts.Stale: %v is less than twice Timeouts.Recheck, %v: members would "+
			"end before they are asked about", t.Stale, t.Recheck)
	}
	return errors.Join(
		recheck, stale,
		setting.Fill("live", "Timeouts.MaxAge", &t.MaxAge, d.MaxAge),
		setting.Fill("live", "Timeouts.Grace", &t.Grace, d.Grace),
		setting.Fill("live", "Timeouts.Spread", &t.Spread, d.Spread),
	)
}
