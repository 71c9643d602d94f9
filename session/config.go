package session

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/internal/nilvalue"
	"github.com/securews/securews/middleware"
)

// Config is the argument of [New]. Its zero value is complete, for a single process. In
// every field 0 means the documented default, and a negative value is an error.
type Config struct {
	_ [0]func() // not comparable; fields by name

	// Store keeps the records: any store of scs, used through its Ctx methods if it has them;
	// package storetest tests one. See the package about SQLite. A store that is a [Swapper] loses
	// no concurrent change. Nil: the memory of this process. A route that stores values for users
	// without a login needs a middleware.RateLimit in front: each of them is a record until Idle.
	Store scs.Store

	// StoreTimeout bounds how long one load, save, Login or Logout waits for Store and
	// Revocations together, whether or not they respect a context; after that it is
	// refused with 503. Default 1 s, at most 10 s.
	StoreTimeout time.Duration

	// Idle ends a session without requests. Default 30 min, or Absolute if that is
	// shorter; at least 1 s. Managers with one store and one Issuer have the same.
	Idle time.Duration

	// ConnectionsExtendIdle says that an open connection counts as use of the session:
	// each [Manager.Alive] and [Manager.SessionAlive] extends an idle time-out that is
	// due, up to the absolute end. Open connections ask at each recheck, and after half of
	// Idle. If false, a connection ends with its session, and its traffic extends nothing.
	ConnectionsExtendIdle bool

	// Absolute ends a session even if it is in use. Default 12 h, at most 30 days and
	// not shorter than Idle.
	Absolute time.Duration

	// Name is the cookie's name without its prefix, at most 64 bytes of letters,
	// digits, '-' and '_'. Default "session", which makes `__Host-session`.
	Name string

	// SameSiteLax also sends the cookie on top-level navigations from other sites. With
	// Strict, the first page after a link from another site looks signed out. With Lax,
	// every GET that such a link can name comes with the session, so no GET may change
	// anything. Handshakes do not differ: browsers withhold Lax and Strict cookies alike
	// from another site's sockets, and send both from those of a sibling subdomain; the
	// origin check applies in both cases.
	SameSiteLax bool

	// PreviousName is the Name that the cookie had before, if that has changed: a session under
	// it goes on, and its next response moves the cookie to the new name. Logout clears both.
	// Remove the setting after the time of Absolute. Empty: none.
	PreviousName string

	// Persistent gives the cookie a Max-Age, the time until the session's absolute end. The cookie
	// then outlives the browser's process, which an installed app on a phone needs: the system
	// ends that process at any time. The cookie also stays on a shared computer. Idle and
	// Absolute end the session as without it. If false, the browser removes the cookie when it
	// closes.
	Persistent bool

	// DangerouslyEmbedded is for an app in frames of other sites: the cookie has SameSite=None and
	// Partitioned, and is named `__Host-session-embedded`. A browser keeps a cookie for each site
	// that has the frame, or one for all sites if it does not know partitioned cookies. Requests of
	// foreign pages may then come with the session: only the origin checks refuse them, and no
	// GET may change anything. The frame also needs CSP.FrameAncestors.
	DangerouslyEmbedded bool

	// LogoutClearsCache and LogoutClearsCookies have Logout tell the browser to clear more than
	// the site's storage (Clear Site Data §3.1). The cache of all sites is searched, which takes
	// Chromium seconds. The cookies are those of the whole registrable domain, so that the user
	// is signed out of its other hosts, too.
	LogoutClearsCache, LogoutClearsCookies bool

	// DangerouslyAllowLocalHTTP is for development at http://localhost: the cookie loses
	// Secure and its prefix and is named `dev-session`. A request is refused with 421 if it is
	// not plain HTTP/1.1 or later to localhost or a loopback address, if it came through a proxy
	// that is not a development server of this machine, or if its Origin or Referer shows that
	// the page is elsewhere. Behind a proxy that rewrites Host and adds nothing, so are the
	// requests of the first page; the redirect of an identity provider may come before.
	DangerouslyAllowLocalHTTP bool

	// Issuer is the Issuer of every principal: printable ASCII without '"' and '\'.
	// The nodes of one service share a store and have the same Issuer. Two services on one store
	// need different ones: with the same, a session of the one, with its roles, is a session of the
	// other, and New cannot tell. Default "session".
	Issuer string

	// Revocations is told of every end as well, and asked in every load as well, for
	// instance to tell other processes at once. Its answer can end a session, and
	// cannot keep one alive. It compares times, so the clocks of several nodes must agree.
	// Nil: the store alone, which is enough. See [Manager.Revocations].
	Revocations middleware.Revocations

	// Log receives the failures that no response shows: records that cannot be decoded,
	// idle time-outs that could not be extended. Nil: [slog.Default].
	Log *slog.Logger
}

const maxAbsolute = 30 * 24 * time.Hour

// validate fills in the defaults and reports everything that is wrong.
func (c *Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("session: "+format, args...)) }
	duration := func(name string, d *time.Duration, def, least, most time.Duration) {
		if *d == 0 {
			*d = def
		}
		if *d < least || *d > most {
			wrong("%s: %v is out of range: write %v to %v, or 0 for %v", name, *d, least, most, def)
		}
	}
	duration("StoreTimeout", &c.StoreTimeout, time.Second, time.Millisecond, 10*time.Second)
	duration("Absolute", &c.Absolute, 12*time.Hour, time.Second, maxAbsolute)
	duration("Idle", &c.Idle, min(30*time.Minute, max(c.Absolute, time.Second)), time.Second, maxAbsolute)
	if c.Idle > c.Absolute {
		wrong("Idle: %v is longer than Absolute, %v: write at most that, or a longer Absolute", c.Idle, c.Absolute)
	}
	if c.Name == "" {
		c.Name = "session"
	}
	if err := checkName(c.Name); err != nil {
		wrong("Name: %w", err)
	}
	if c.PreviousName != "" {
		if err := checkName(c.PreviousName); err != nil {
			wrong("PreviousName: %w", err)
		} else if c.PreviousName == c.Name {
			wrong("PreviousName: %q is the Name: leave it out", c.Name)
		}
	}
	if c.DangerouslyEmbedded && (c.SameSiteLax || c.DangerouslyAllowLocalHTTP) {
		wrong("DangerouslyEmbedded: it is SameSite=None, which needs Secure: leave SameSiteLax and DangerouslyAllowLocalHTTP out")
	}
	if c.Issuer == "" {
		c.Issuer = "session"
	}
	if len(c.Issuer) > 255 || strings.ContainsFunc(c.Issuer, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		wrong("Issuer: %.300q is not a valid issuer: write at most 255 bytes of printable ASCII without quotes and backslashes", c.Issuer)
	}
	if nilvalue.In(c.Store) {
		wrong("Store: a nil %T: write nil for the memory of this process, or a store", c.Store)
	}
	if nilvalue.In(c.Revocations) {
		wrong("Revocations: a nil %T: write nil for those of this process, or a value", c.Revocations)
	}
	return errors.Join(errs...)
}

func checkName(name string) error {
	allowed := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
	}
	switch {
	case len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }):
		return fmt.Errorf("%.100q is not a valid name: write at most 64 letters, digits, '-' and '_'", name)
	case strings.HasPrefix(name, "_"):
		return fmt.Errorf("%q begins with '_': write the name without a prefix, which is added automatically", name)
	}
	return nil
}
