package bearer

import (
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

	// Issuer is the required value of iss, compared byte by byte (RFC 9068 §4).
	Issuer string

	// Audience is the name of this service, which aud must contain.
	Audience string

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

	// MaxLifetime is how far ahead exp may be, without Leeway. Default and at most 24 h.
	MaxLifetime time.Duration

	// DangerouslyAnyJWT is for issuers that do not follow RFC 9068: typ may also be JWT
	// or absent, iat, jti and client_id may be absent, and the scopes may be a list, or
	// in scp without a scope. It is dangerous because an ID token looks the same:
	// Audience must be a name that no ID token is issued for (RFC 8725 §3.11, §3.12).
	DangerouslyAnyJWT bool

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
	// as session_state; at most 255 bytes. Default sid. A token whose claim of this name
	// is not a string, or empty, is refused.
	SessionClaim string

	// CacheSize is how many verified tokens are remembered. Default 4096, at most
	// 1048576. An entry takes about 1 KiB, 16 KiB at most.
	CacheSize int

	// Refresh is the longest time between two fetches of the key set; Cache-Control:
	// max-age shortens it, down to CoolDown. A key that the issuer removed may be used
	// that long. Default 5 min, between 1 s and 1 h.
	Refresh time.Duration

	// CoolDown is the least time between two fetches that tokens with unknown keys cause.
	// Default 10 s, between 1 s and 30 s.
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
	set(&c.Leeway, 30*time.Second)
	set(&c.MaxLifetime, 24*time.Hour)
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
		c.SessionClaim = "sid"
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
	if !isName(c.Audience) {
		wrong("Audience: %.80q is not an audience: write this service's name in aud, in UTF-8 without control characters", c.Audience)
	}
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

func (c Config) validateTimes() (errs []error) {
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"Leeway", c.Leeway, 1, 2 * time.Minute},
		{"MaxLifetime", c.MaxLifetime, time.Second, 24 * time.Hour},
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
