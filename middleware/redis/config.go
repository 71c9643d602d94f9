package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Config is the argument of [New]. Options is required.
type Config struct {
	_ [0]func()

	// Options have the address of the server, as for goredis.NewUniversalClient: a single server, one
	// behind Sentinel (MasterName), or a Cluster (several Addrs, or IsClusterMode). Commands are
	// never retried, and end with their context, whatever MaxRetries and ContextTimeoutEnabled say:
	// the second attempt of a comparison would compare with the bytes of the first. A connection is
	// used for ConnMaxLifetime, by default five minutes: it may lead to a server that the address no
	// longer means. ReadOnly, RouteByLatency and RouteRandomly read from replicas and are an error.
	Options *goredis.UniversalOptions

	// Prefix begins every key, so that services may share a server: at most 64 bytes of printable
	// ASCII without braces, spaces, '*', '?', '[' and '\'. Default "securews:".
	Prefix string

	// Log gets a line if announcements no longer arrive, if they do again, if the server has lost
	// data or may evict it, and if a function that follows panics. Nil: [slog.Default].
	Log *slog.Logger
}

const (
	defaultPrefix   = "securews:"
	defaultLifetime = 5 * time.Minute
	lifetimeJitter  = defaultLifetime / 10 // so that not all connections end at once
)

// compile fills in the defaults and reports everything that is wrong.
func (cfg Config) compile() (Config, error) {
	var errs []error
	if cfg.Options == nil {
		errs = append(errs, errors.New("redis: Options is nil: set the address of the server"))
	} else {
		errs = append(errs, checkOptions(cfg.Options))
		own := *cfg.Options
		own.MaxRetries, own.ContextTimeoutEnabled = -1, true
		if own.ConnMaxLifetime <= 0 {
			own.ConnMaxLifetime, own.ConnMaxLifetimeJitter = defaultLifetime, lifetimeJitter
		}
		cfg.Options = &own
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if !fitsInKeys(cfg.Prefix) {
		errs = append(errs, fmt.Errorf("redis: Prefix: %.80q is not at most %s", cfg.Prefix, keyText))
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return cfg, errors.Join(errs...)
}

// keyText says which texts of a configuration may be part of a key: no hash tag of a Cluster, and no
// pattern of SCAN.
const keyText = `64 bytes of printable ASCII without {}*?[\ and spaces`

func fitsInKeys(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`{}*?[\`, r)
	})
}

func checkOptions(o *goredis.UniversalOptions) error {
	var errs []error
	if len(o.Addrs) == 0 && o.Dialer == nil {
		errs = append(errs, errors.New("redis: Options.Addrs is empty: set the address of the server"))
	}
	for i, addr := range o.Addrs {
		if strings.Contains(addr, "@") || strings.Contains(addr, "://") { // not shown: it may have a password
			errs = append(errs, fmt.Errorf("redis: Options.Addrs[%d]: not host:port: leave out the scheme and path of a URL, "+
				"and set Options.Username, Options.Password and Options.TLSConfig for the rest of it", i))
		}
	}
	for _, option := range []struct {
		name string
		set  bool
	}{{"ReadOnly", o.ReadOnly}, {"RouteByLatency", o.RouteByLatency}, {"RouteRandomly", o.RouteRandomly}} {
		if option.set {
			errs = append(errs, fmt.Errorf("redis: Options.%s: a replica may lag behind, and a sign-out would not hold: leave it false",
				option.name))
		}
	}
	return errors.Join(errs...)
}
