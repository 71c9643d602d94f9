package bearer

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/securews/securews/middleware"
)

// Config says which tokens are accepted. Issuer, Audience and exactly one of JWKS, Keys
// and Discovery are required. In every other field zero means the documented default, and
// a negative value or one above the limit is an error.
type Config struct {
	_ [0]func()

	// Profile describes the tokens of the issuer's product, for instance Keycloak(). The
	// zero value is RFC 9068.
	Profile Profile

	// Issuer is the required value of iss, compared byte by byte (RFC 9068 §4). With a
	// Profile that has a Tenant, "{tenant}" in it stands for the tenant of each token.
	Issuer string

	// Tenants are the accepted tenants, if Issuer has "{tenant}" in it, and TenantAllowed
	// is asked about the others. It must return at once and be safe for concurrent
	// use. Nil: no others.
	Tenants       []string
	TenantAllowed func(tenant string) bool

	// Audience are the names of this service, any of which aud must contain. It is
	// required unless the Profile has NoAudience.
	Audience []string

	// Clients are the accepted clients, by their id. Empty: every client of the issuer;
	// required if the Profile has NoAudience.
	Clients []string

	// JWKS is the https URL of the issuer's key set. Redirects are not followed.
	JWKS string

	// Keys is the key set itself, a JSON document (RFC 7517 §5). It never changes.
	Keys []byte

	// Discovery finds the URL of the key set in the issuer's metadata: OpenID Connect
	// Discovery 1.0 §4, then RFC 8414 §3. Issuer must then be an https URL, and the
	// metadata must name it as its issuer.
	Discovery bool

	// Algorithms are the accepted signature algorithms. Empty: all that the package
	// supports. Each of them is safe; the key decides which one a token must use.
	Algorithms []Algorithm

	// Leeway is the tolerated difference between the clocks of the issuer and of each node:
	// it is added to exp and subtracted from nbf and iat, and widens the cut-off of a
	// revoked subject, see Revocations. Default 30 s, at most 2 min; 1 ns for none.
	Leeway time.Duration

	// MaxLifetime is how far ahead exp may be, without Leeway. Default: the Profile's, which
	// is 24 h for RFC 9068. At most 30 days, as long as revocations are kept.
	MaxLifetime time.Duration

	// Attributes names claims that are copied to the Principal's Attributes if they are
	// strings. client_id is always copied.
	Attributes []string

	// Realm is the realm in WWW-Authenticate. Default "api".
	Realm string

	// FromSubprotocol also takes the token from a subprotocol that a handshake offers
	// beside a real one, for pages that have a token and can name nothing but
	// subprotocols:
	//
	//	base64url.bearer.authorization.securews.<the token in base64url, without padding>
	//
	// It is stripped from every request, and accepted on a handshake by GET only. But
	// proxies in front may log it, as they do not log an Authorization header: prefer a
	// ticket.
	FromSubprotocol bool

	// Revocations is asked on every request; nil: no token can be revoked here, and tokens
	// end with the sessions of Sessions or when they expire. If it is also that of
	// session.Config, and the two Issuers are equal, session.Manager.LogoutEverywhere
	// revokes the subject's tokens too, those without a sid included.
	//
	// A revocation of a subject compares iat with its cut-off. A token issued more than
	// Leeway before it is 401 credential_revoked. One issued later, up to Leeway after it, is
	// 401 credential_expired with Retry-After, because the clocks do not tell which
	// came first: the client fetches another. So a token issued after the cut-off may be
	// refused for up to twice Leeway and a second, in which iat counts; one issued before it
	// never passes.
	Revocations middleware.Revocations

	// Sessions has the sessions that tokens are issued in: a *session.Manager. The sid
	// claim is then a Principal.SessionHandle of Sessions, and a token that has one is
	// refused when its session ends, or if that is another subject's. It is asked on
	// every request with such a token. Nil: the sid claim names a session at the issuer,
	// see [SessionHandle].
	Sessions Sessions

	// SessionClaim is the name of the sid claim, for issuers that have another one, such
	// as session_state; at most 255 bytes. Default: the Profile's, which is sid for RFC 9068. A token whose claim of this name
	// is not a string, or empty, is refused.
	SessionClaim string

	// CacheSize is how many verified tokens are remembered. Default 4096, at most
	// 1048576. An entry takes about 1 KiB, 16 KiB at most.
	CacheSize int

	// Refresh is the longest time between two fetches of the key set; Cache-Control:
	// max-age shortens it, down to CoolDown. A key that the issuer removed may be used
	// that long. Default 5 min, between 1 s and 1 h.
	Refresh time.Duration

	// CoolDown is a time in which tokens with unknown keys cause at most three fetches. Until
	// the next one is possible such a token is answered 503 with Retry-After: its key may be
	// new. Default 10 s, between 1 s and 30 s.
	CoolDown time.Duration

	// MaxStale is how long the last good set serves while the issuer cannot be reached;
	// after that requests are refused with 503. Default 1 h, or twice Refresh if that is
	// longer; at least Refresh and at most 24 h.
	MaxStale time.Duration

	// HTTPClient provides the transport; its other fields are not used. Nil: TLS 1.2 or
	// later, the system's roots, the environment's proxy.
	HTTPClient *http.Client

	// Log receives failed fetches and keys that were left out. Nil: slog.Default().
	Log *slog.Logger
}

// defaulted fills in the defaults.
func (c Config) defaulted() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	c.Profile = c.Profile.defaulted()
	set(&c.Leeway, 30*time.Second)
	set(&c.MaxLifetime, c.Profile.MaxLifetime)
	set(&c.Refresh, 5*time.Minute)
	set(&c.CoolDown, 10*time.Second)
	set(&c.MaxStale, max(time.Hour, 2*c.Refresh))
	if c.CacheSize == 0 {
		c.CacheSize = 4096
	}
	if c.Realm == "" {
		c.Realm = "api"
	}
	if c.SessionClaim == "" {
		c.SessionClaim = c.Profile.Session
	}
	if len(c.Algorithms) == 0 {
		for a := Algorithm(1); a < algorithmEnd; a++ {
			c.Algorithms = append(c.Algorithms, a)
		}
	}
	return c
}

// validate reports everything that is wrong, except for the content of Keys.
func (c Config) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	if !isName(c.Issuer) {
		wrong("Issuer: %.80q is not an issuer: write the iss of its tokens, in UTF-8 without control characters", c.Issuer)
	}
	errs = append(errs, c.Profile.validate())
	errs = append(errs, c.validateParties()...)
	for _, err := range c.validateSource() {
		wrong("%w", err)
	}
	for i, a := range c.Algorithms {
		if a.String() == "" {
			wrong("Algorithms: %d is not an algorithm: write constants of this package", a)
		} else if slices.Contains(c.Algorithms[:i], a) {
			wrong("Algorithms: %s is given twice: write it once", a)
		}
	}
	for i, name := range c.Attributes {
		if name == "" || slices.Contains(c.Attributes[:i], name) {
			wrong("Attributes: %q is empty or given twice: write each claim once", name)
		}
	}
	if strings.ContainsFunc(c.Realm, func(r rune) bool { return r < 0x20 || r >= 0x7f || r == '"' || r == '\\' }) {
		wrong("Realm: %.80q is not a valid realm: write printable ASCII without quotes and backslashes", c.Realm)
	}
	if c.CacheSize < 0 || c.CacheSize > 1<<20 {
		wrong("CacheSize: %d is out of range: write 1 to %d, or 0 for 4096", c.CacheSize, 1<<20)
	}
	if !isName(c.SessionClaim) || len(c.SessionClaim) > 255 {
		wrong("SessionClaim: %.80q is not a valid name: write at most 255 bytes of UTF-8 without control characters, or nothing for sid", c.SessionClaim)
	} else if slices.Contains(registered, c.SessionClaim) {
		wrong("SessionClaim: %s has another meaning: write the claim that names the session", c.SessionClaim)
	}
	if isNilPointer(c.Revocations) {
		wrong("Revocations: a nil %T: write nil for none, or a value", c.Revocations)
	}
	if isNilPointer(c.Sessions) {
		wrong("Sessions: a nil %T: write nil for none, or a value", c.Sessions)
	}
	errs = append(errs, c.validateTimes()...)
	return errors.Join(errs...)
}

// validateParties reports errors of Audience, Clients and tenants.
func (c Config) validateParties() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	product := cmp.Or(c.Profile.Name, "RFC 9068")
	for _, list := range []struct {
		field string
		names []string
	}{{"Audience", c.Audience}, {"Clients", c.Clients}, {"Tenants", c.Tenants}} {
		for i, name := range list.names {
			if !isName(name) || slices.Contains(list.names[:i], name) {
				wrong("%s: %.80q is not a name, or given twice: write names in UTF-8 without control characters, each once", list.field, name)
			}
		}
	}
	switch {
	case c.Profile.NoAudience && len(c.Clients) == 0:
		wrong("Clients: %s access tokens have no aud: write the ids of the clients that may come here", product)
	case !c.Profile.NoAudience && len(c.Audience) == 0:
		wrong("Audience: it is empty: write this service's name, which is in the aud of %s access tokens for it", product)
	}
	templated := strings.Contains(c.Issuer, tenantPlace)
	switch accepts := len(c.Tenants) > 0 || c.TenantAllowed != nil; {
	case templated && c.Profile.Tenant == "":
		wrong("Issuer: %s in it needs a Profile with a Tenant, and the one of %s has none: write the whole issuer", tenantPlace, product)
	case templated && !accepts:
		wrong("Tenants: Issuer has %s in it: write the accepted tenants, or set TenantAllowed", tenantPlace)
	case templated && c.Discovery:
		wrong("Discovery: it needs one issuer, and Issuer has %s in it: write JWKS, the key set of all tenants", tenantPlace)
	case !templated && accepts:
		wrong("Tenants: Issuer has no %s in it: leave Tenants and TenantAllowed empty", tenantPlace)
	}
	return errs
}

func (c Config) validateTimes() (errs []error) {
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"Leeway", c.Leeway, 1, 2 * time.Minute},
		{"MaxLifetime", c.MaxLifetime, time.Second, maxMaxLifetime},
		{"Refresh", c.Refresh, time.Second, time.Hour},
		{"CoolDown", c.CoolDown, time.Second, 30 * time.Second},
		{"MaxStale", c.MaxStale, c.Refresh, 24 * time.Hour},
	} {
		if d.value < d.least || d.value > d.most {
			errs = append(errs, fmt.Errorf("bearer: %s: %v is out of range: write %v to %v, or 0 for the default", d.name, d.value, d.least, d.most))
		}
	}
	return errs
}

func (c Config) validateSource() (errs []error) {
	given := 0
	for _, is := range []bool{c.JWKS != "", c.Keys != nil, c.Discovery} {
		if is {
			given++
		}
	}
	if given != 1 {
		errs = append(errs, mistake("Keys", "%d of JWKS, Keys and Discovery are given: write exactly one", given))
	}
	if c.JWKS != "" {
		if err := checkURL(c.JWKS); err != nil {
			errs = append(errs, mistake("JWKS", "%w", err))
		}
	}
	if c.Discovery {
		if err := checkURL(c.Issuer); err != nil {
			errs = append(errs, mistake("Issuer", "with Discovery: %w", err))
		} else if strings.Contains(c.Issuer, "?") {
			errs = append(errs, mistake("Issuer", "has a query: with Discovery, write a URL without one (RFC 8414 §2)"))
		}
	}
	return errs
}

// checkURL requires https, and refuses a password, and a fragment, which would not be sent.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("not a URL: write an https:// URL with a host")
	case !strings.HasPrefix(s, "https://") || u.Host == "" || u.Hostname() == "":
		return errors.New("not https: write an https:// URL with a host")
	case u.User != nil:
		return errors.New("has a user name or password: write the URL without them")
	case strings.Contains(s, "#"):
		return errors.New("has a fragment: write the URL without one")
	}
	return nil
}

func isName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func isNilPointer(x any) bool {
	v := reflect.ValueOf(x)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// mistake is an error of the field.
func mistake(field, format string, args ...any) error {
	return fmt.Errorf(field+": "+format, args...)
}
