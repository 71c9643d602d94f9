package bearer

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// Config says which tokens are accepted. Issuer, exactly one of JWKS, Keys and Discovery, and
// Audience are required, with Clients in place of Audience if the Profile has NoAudience. In every
// other field zero means the documented default, and a negative value or one above the limit is an
// error.
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

	// DangerouslyAllowLocalHTTP also admits http:// for JWKS and Discovery if the host is
	// localhost or a loopback address, for an issuer that runs on the developer's machine.
	DangerouslyAllowLocalHTTP bool

	// Algorithms are the accepted signature algorithms. Empty: all that the package
	// supports but ES512, whose verification takes milliseconds, for forged tokens too.
	// Each of them is safe; the key decides which one a token must use.
	Algorithms []Algorithm

	// Leeway is the tolerated difference between the clocks of the issuer and of each node:
	// it is added to exp and subtracted from nbf and iat, and widens the cut-off of a
	// revoked subject, see Revocations. Default 30 s, at most 2 min; 1 ns for none.
	Leeway time.Duration

	// MaxLifetime is how far ahead exp may be, without Leeway. Default: the Profile's, which
	// is 24 h for RFC 9068. At most 30 days, as long as revocations are kept.
	MaxLifetime time.Duration

	// Claims names claims that are kept in the Principal's Claims, of whatever type; a
	// [middleware.ClaimKey] reads them. A ticket has them too, in its store.
	Claims []string

	// Attributes names claims that are copied to the Principal's Attributes: a string as it
	// is, and any other value as its JSON text, which a string can imitate: decide by Claims.
	// client_id is always copied.
	Attributes []string

	// Resource is the https URL of this service, as clients know it (RFC 9728 §1.2, RFC 8707).
	// WWW-Authenticate then names its metadata, which [Authenticator.Metadata] serves. Empty:
	// neither.
	Resource string

	// ResourceScopes are listed in that metadata as the scopes to ask the issuer for; they
	// admit nothing.
	ResourceScopes []string

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
	// end with the sessions of Sessions or when they expire. With session.Manager.Revocations,
	// they last as long as its store, and a Revoke of a subject there ends sessions and tokens
	// alike. session.Manager.LogoutEverywhere reaches a token without a sid only if the same
	// Revocations are set here and in session.Config, and the two Issuers are equal.
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
	// every request with such a token. An issuer of your own writes Principal.SessionHandle of
	// the request that fetches the token into sid, as tokens.go of examples/chat does. Nil: the sid
	// claim names a session at the issuer, see [SessionHandle].
	Sessions Sessions

	// SessionClaim is the name of the sid claim, for issuers that have another one, such
	// as session_state; at most 255 bytes. Default: the Profile's, which is sid for RFC
	// 9068. A token whose claim of this name is not a string, or empty, is refused.
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
	// later, the system's roots, the environment's proxy. One that skips the verification of
	// certificates is refused by New, or sends nothing if it hides that from New.
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
			if a != ES512 {
				c.Algorithms = append(c.Algorithms, a)
			}
		}
	}
	return c
}
