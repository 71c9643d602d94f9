package ticket

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/securews/securews/middleware"
)

// Config says what tickets are good for. Path and Origins are required. In every other
// field zero means the documented default.
type Config struct {
	_ [0]func()

	// Path is the one path that tickets open, as in the URL of the request that the
	// Tickets redeem: "/ws". Another route has Tickets, and an Auth, of its own, which
	// may share the Store; the same path on two hosts is two routes that must not. What
	// varies within the route goes into the query.
	Path string

	// Origins are the pages that may fetch a ticket. Each ticket is good for the origin
	// it was issued to; where the policy lets requests without one through, for native
	// clients, the ticket is good for a handshake without one.
	Origins *middleware.OriginPolicy

	// Lifetime is how long a ticket is good for, where the credential it is issued for
	// does not end before: default 30 s, from 1 s to 2 min.
	Lifetime time.Duration

	// Store keeps the tickets; nil: NewMemoryStore(0), for a single process.
	Store Store

	// Rate bounds the issuing; nil: 60 a minute for each issuer and subject, 30 at once.
	Rate *middleware.RateLimit

	// Revocations is asked when a ticket is redeemed; nil: nothing is revoked here.
	// ws.Config.Revocations asks by itself.
	Revocations middleware.Revocations
}

const (
	defaultLifetime = 30 * time.Second
	minLifetime     = time.Second
	maxLifetime     = 2 * time.Minute
)

// compile fills in the defaults and reports everything that is wrong.
func (cfg Config) compile() (Config, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ticket: "+format, args...)) }
	switch {
	case cfg.Path == "":
		wrong(`path: must be given, as in "/ws"`)
	case cfg.Path[0] != '/':
		wrong("path: %.80q does not begin with /", cfg.Path)
	case strings.ContainsAny(cfg.Path, "?#"):
		wrong("path: %.80q has a query or a fragment: the path alone is compared", cfg.Path)
	}
	switch {
	case cfg.Origins == nil:
		wrong("origins: nil: name the pages that may fetch a ticket")
	case cfg.Origins.AllowsAny():
		wrong("origins: any: a ticket is good for one origin of a list, use NewOriginPolicy")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Lifetime < minLifetime || cfg.Lifetime > maxLifetime {
		wrong("lifetime: %v is not between %v and %v", cfg.Lifetime, minLifetime, maxLifetime)
	}
	if err := errors.Join(errs...); err != nil {
		return cfg, err
	}
	var err error
	if cfg.Store == nil {
		cfg.Store, err = NewMemoryStore(0)
	}
	if err == nil && cfg.Rate == nil {
		cfg.Rate, err = middleware.NewRateLimit(middleware.RateLimitConfig{
			Events: 60, Per: time.Minute, Burst: 30, Key: identity,
		})
	}
	return cfg, err
}

// identity is the pair that names a principal.
func identity(r *http.Request) string {
	p, _ := middleware.FromContext(r.Context())
	return p.Issuer + "\x00" + p.Subject
}
