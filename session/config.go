package session

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
)

// Config is what [New] makes a Manager of. The zero value is a good one, for a
// single process. 0 is the documented default; negative is an error.
type Config struct {
	_ [0]func() // not comparable; fields by name

	// Store keeps the records: any store of scs, used through its Ctx methods where
	// it has them. A store that is a [Swapper] loses no concurrent change. Nil: the
	// memory of this process. A route that stores values for strangers
	// wants a middleware.RateLimit in front: each of them is a record until Idle.
	Store scs.Store

	// StoreTimeout bounds what one load, save, Login or Logout waits for Store and
	// Revocations together, whether or not they heed a context. Default 1 s, at most
	// 10 s; beyond: 503.
	StoreTimeout time.Duration

	// Idle ends a session that sees no request. Default 30 min, at least 1 s.
	Idle time.Duration

	// Absolute ends a session however busy it is. Default 12 h, at most 30 days and
	// no shorter than Idle.
	Absolute time.Duration

	// Name is the cookie's name without its prefix, at most 64 bytes of letters,
	// digits, '-' and '_'. Default "session", which makes `__Host-session`.
	Name string

	// SameSiteLax sends the cookie on top-level navigations from other sites too, for
	// sites people reach by links: with Strict, the first page after such a link looks
	// signed out. The price: every GET that such a link can name comes with the
	// session, so that no GET may change anything. Handshakes do not differ: browsers
	// withhold Lax and Strict cookies alike from another site's sockets, and send both
	// from a sibling subdomain's; the origin check stands either way.
	SameSiteLax bool

	// DangerouslyAllowLocalHTTP is the profile for http://localhost: the cookie loses Secure and its prefix
	// and is named `dev-session`. A request that is not plain http to localhost or a
	// loopback address, that names a proxy it came through, or whose Origin is
	// elsewhere, is refused with 421.
	DangerouslyAllowLocalHTTP bool

	// Issuer is the Issuer of every principal: printable ASCII without '"' and '\'.
	// Managers that share a store need different ones. Default "session".
	Issuer string

	// Revocations is told of every session that ends by Logout or Login, and asked in
	// every load. Give ws.Config the same, see [Manager.Revocations]. Nil:
	// [middleware.NewRevocations], good for a single process.
	Revocations middleware.Revocations

	// Log receives what no response shows: records that cannot be decoded, time-outs
	// that could not be extended. Nil: [slog.Default].
	Log *slog.Logger
}

const maxAbsolute = 30 * 24 * time.Hour

func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("session: config: "+format, args...)) }
	duration := func(name string, d *time.Duration, def, least, most time.Duration) {
		if *d == 0 {
			*d = def
		}
		if *d < least || *d > most {
			bad("%s: %v is not within %v and %v", name, *d, least, most)
		}
	}
	duration("StoreTimeout", &c.StoreTimeout, time.Second, time.Millisecond, 10*time.Second)
	duration("Absolute", &c.Absolute, 12*time.Hour, time.Second, maxAbsolute)
	duration("Idle", &c.Idle, min(30*time.Minute, max(c.Absolute, time.Second)), time.Second, maxAbsolute)
	if c.Idle > c.Absolute {
		bad("Idle: %v is longer than Absolute, %v", c.Idle, c.Absolute)
	}
	if c.Name == "" {
		c.Name = "session"
	}
	if err := checkName(c.Name); err != nil {
		bad("Name: %w", err)
	}
	if c.Issuer == "" {
		c.Issuer = "session"
	}
	if len(c.Issuer) > 255 || strings.ContainsFunc(c.Issuer, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		bad("Issuer: %.300q is not at most 255 bytes of printable ASCII without quotes", c.Issuer)
	}
	if c.Store != nil && isNilPointer(c.Store) {
		bad("Store: a nil %T", c.Store)
	}
	if c.Revocations != nil && isNilPointer(c.Revocations) {
		bad("Revocations: a nil %T", c.Revocations)
	}
	return errors.Join(errs...)
}

func checkName(name string) error {
	allowed := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
	}
	switch {
	case len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }):
		return fmt.Errorf("%.100q is not at most 64 letters, digits, '-' and '_'", name)
	case strings.HasPrefix(name, "_"):
		return fmt.Errorf("%q: the prefix is added by itself", name)
	}
	return nil
}

func isNilPointer(x any) bool {
	v := reflect.ValueOf(x)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
