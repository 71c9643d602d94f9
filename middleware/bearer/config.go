package bearer

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// Config says whose tokens are accepted. Issuer, Audience and exactly one of JWKS, Keys
// and Discovery are required. In every other field zero means the documented default, and
// a negative or larger value than is allowed is an error.
type Config struct {
	_ [0]func()

	// Issuer is what iss must be, to the letter (RFC 9068 §4).
	Issuer string

	// Audience is what aud must contain: the name of this service.
	Audience string

	// JWKS is the https URL of the issuer's key set. Redirects are not followed.
	JWKS string

	// Keys is the key set itself, a JSON document (RFC 7517 §5). It never changes.
	Keys []byte

	// Discovery finds the URL of the key set in the issuer's metadata: OpenID Connect
	// Discovery 1.0 §4, then RFC 8414 §3. Issuer must be an https URL then, and the
	// metadata must name it as its issuer.
	Discovery bool

	// Algorithms are those that are accepted. Empty: all that the package knows. Each
	// of them is safe; which one a token must use is settled by its key.
	Algorithms []Algorithm

	// Leeway is how far the clocks may be apart: it is added to exp and taken from nbf
	// and iat. Default 30 s, at most 2 min; a nanosecond for none.
	Leeway time.Duration

	// MaxLifetime is how far ahead exp may be, leeway apart. Default and at most 24 h.
	MaxLifetime time.Duration

	// DangerouslyAnyJWT is for issuers that do not follow RFC 9068: typ may also be JWT
	// or absent, iat, jti and client_id may be absent, and the scopes may be a list or
	// stand in scp where there is no scope. It is dangerous because an ID
	// token looks the same: Audience must be a name that no ID token is issued for
	// (RFC 8725 §3.11, §3.12).
	DangerouslyAnyJWT bool

	// Attributes names claims that are copied to the Principal's Attributes where they
	// are strings. client_id is always there.
	Attributes []string

	// Realm stands in WWW-Authenticate. Default "api".
	Realm string

	// FromSubprotocol also takes the token from a subprotocol that a handshake offers
	// beside a real one, for pages that have a token and can name nothing but
	// subprotocols:
	//
	//	base64url.bearer.authorization.securews.<the token in base64url, without padding>
	//
	// It is taken out of every request before anything else sees it, and good on a
	// handshake by GET alone. But proxies in front may log it as they log no
	// Authorization header: prefer a ticket.
	FromSubprotocol bool

	// Revocations is asked on every request; nil: nothing is revoked here.
	Revocations middleware.Revocations

	// CacheSize is how many verified tokens are remembered. Default 4096, at most
	// 1048576. An entry is 1 KiB or so, 16 KiB at most.
	CacheSize int

	// Refresh is how often the key set is fetched at the least; Cache-Control: max-age
	// makes it more often, down to CoolDown. It is how long a key that the issuer removed
	// may still be used. Default 5 min, between 1 s and 1 h.
	Refresh time.Duration

	// CoolDown is the least time between two fetches that tokens with unknown keys cause.
	// Default 10 s, between 1 s and 30 s.
	CoolDown time.Duration

	// MaxStale is for how long the last good set serves while the issuer cannot be
	// reached; after that requests are answered 503. Default 1 h, or Refresh twice where
	// that is longer; at least Refresh and at most 24 h.
	MaxStale time.Duration

	// HTTPClient is where the transport comes from; its other fields are not used. Nil:
	// TLS 1.2 or later, the system's roots, the environment's proxy.
	HTTPClient *http.Client

	// Log hears of fetches that fail and of keys left out. Nil: slog.Default().
	Log *slog.Logger
}

// profile is what the checks of a token need of a Config. It is immutable.
type profile struct {
	issuer, audience string
	algorithms       algorithmSet
	leeway           time.Duration
	maxLifetime      time.Duration
	anyJWT           bool
	attributes       []string
	challenge        string
	fromSubprotocol  bool
}
