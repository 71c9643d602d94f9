package ticket

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/securews/securews/middleware"
)

// Config says which route tickets open, and for whom they are issued. Auth, Path and
// Origins are required. In every other field zero means the documented default.
type Config struct {
	_ [0]func()

	// Auth authenticates the requests that fetch a ticket: with sessions, bearer tokens or
	// both. It is asked again when a ticket is presented, and followed afterwards, so that
	// a ticket and its connection end with the credential it was issued for.
	Auth *middleware.Auth

	// Path is the one path that tickets open, as in the URL of the request that the
	// Tickets accept: "/ws". Another route has Tickets, and an Auth, of its own, which
	// may share the Store; the same path on two hosts is two routes that must not. It is
	// compared as it is: a router's pattern, such as "/ws/{id}", opens nothing. Write
	// variable parts of the route into the query.
	Path string

	// Origins are the pages that may fetch a ticket. Each ticket is good for the origin
	// it was issued to; if the policy admits requests without one, for native clients,
	// such a ticket is good for a handshake without one.
	Origins *middleware.OriginPolicy

	// Lifetime is how long a ticket is good for, unless the credential that it is issued
	// for ends before: default 30 s, from 1 s to 2 min.
	Lifetime time.Duration

	// Store keeps the tickets; nil: NewMemoryStore(0), for a single process.
	Store Store

	// Rate bounds the issuing; nil: 60 a minute for each issuer and subject, 30 at once.
	Rate *middleware.RateLimit
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
	if cfg.Auth == nil {
		wrong("Auth: nil: write the Auth of the sessions or tokens that tickets are issued for, of middleware.NewAuth")
	}
	switch {
	case cfg.Path == "":
		wrong(`Path: empty: write the path that tickets open, such as "/ws"`)
	case cfg.Path[0] != '/':
		wrong("Path: %.80q does not begin with /: write a path, not a URL", cfg.Path)
	case strings.ContainsAny(cfg.Path, "{}"):
		wrong("Path: %.80q looks like a pattern of a router: write one path, and the rest into the query", cfg.Path)
	case strings.ContainsAny(cfg.Path, "?#"):
		wrong("Path: %.80q has a query or a fragment: write the path alone", cfg.Path)
	}
	switch {
	case cfg.Origins == nil:
		wrong("Origins: nil: write the pages that may fetch a ticket, with middleware.NewOriginPolicy")
	case cfg.Origins.AllowsAny():
		wrong("Origins: any: a ticket is good for one origin of a list: write it with middleware.NewOriginPolicy")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Lifetime < minLifetime || cfg.Lifetime > maxLifetime {
		wrong("Lifetime: %v is out of range: write %v to %v, or 0 for %v", cfg.Lifetime, minLifetime, maxLifetime, defaultLifetime)
	}
	if v := reflect.ValueOf(cfg.Store); v.Kind() == reflect.Pointer && v.IsNil() {
		wrong("Store: a nil %T: write nil for the memory of this process, or a store", cfg.Store)
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
