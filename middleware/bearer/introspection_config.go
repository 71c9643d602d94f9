package bearer

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// IntrospectionConfig is the argument of [NewIntrospector]: the endpoint that is asked about opaque
// tokens, and the tokens that are accepted.
// Issuer, one of Endpoint and Discovery, one of ClientID and Authorize, and one of Audience
// and Clients are required. In every other field zero means the documented default, and a
// value out of range is an error. It is not shown by package fmt and slog, because of
// ClientSecret and Key.
type IntrospectionConfig struct {
	_ [0]func()

	// Issuer becomes Principal.Issuer. If an answer has iss, it must be this one, compared
	// byte by byte.
	Issuer string

	// Endpoint is the https URL of the introspection endpoint (RFC 7662 §2). Redirects are
	// not followed. Discovery finds it in the issuer's metadata instead, as
	// introspection_endpoint: see Config.Discovery.
	Endpoint  string
	Discovery bool

	// DangerouslyAllowLocalHTTP also admits http:// to this machine, in development: see
	// Config.DangerouslyAllowLocalHTTP.
	DangerouslyAllowLocalHTTP bool

	// ClientID and ClientSecret authenticate this service at the endpoint, by
	// client_secret_basic (RFC 6749 §2.3.1). ClientID without ClientSecret is sent as a
	// parameter, for a client certificate in HTTPClient (RFC 8705 §2).
	ClientID, ClientSecret string

	// Authorize authenticates this service in other ways: it sets a header of the request,
	// for instance Authorization with a bearer token, or adds to its PostForm, for instance
	// client_id and client_secret, or client_assertion (RFC 7523 §2.2). PostForm has the
	// token that is asked about, so it must not be logged. It must be safe for concurrent
	// use, and is given up after Timeout.
	Authorize func(*http.Request) error

	// Audience are the names of this service, any of which aud must contain. Clients are
	// the accepted clients, by their client_id; empty: every client of the issuer. Without
	// Clients an answer must have aud, which many endpoints leave out; with Clients and
	// Audience, aud is compared if it is there.
	Audience, Clients []string

	// Require are conditions that the answer about an access token meets, and Forbid
	// conditions that it does not meet, to tell it from the answer about a refresh token,
	// which is active, too. Without either an answer must have token_type, which most
	// endpoints write for access tokens only. In any case token_type must be Bearer or
	// access_token, and token_use access_token or access, if they are there.
	Require, Forbid []Claim

	// ClientPrefix is for tokens that a client got for itself, which may have no sub: their
	// Principal.Subject is the prefix and the client_id, and a sub that begins with the
	// prefix is refused (RFC 9700 §4.15). For instance "client:". Empty: a token without
	// sub is refused.
	ClientPrefix string

	// Roles are paths to roles: see Profile.Roles.
	Roles [][]string

	// Claims, Attributes, SessionClaim, Revocations, Sessions, Resource, ResourceScopes, Realm and
	// FromSubprotocol are those of Config. The claims are members of the answer. Revocations are
	// kept for 30 days, so end a token that lives longer at the issuer.
	Claims          []string
	Attributes      []string
	SessionClaim    string
	Revocations     middleware.Revocations
	Sessions        Sessions
	Resource        string
	ResourceScopes  []string
	Realm           string
	FromSubprotocol bool

	// Leeway is that of Config. Default 30 s, at most 2 min; 1 ns for none.
	Leeway time.Duration

	// MaxLifetime is how long after the answer a principal expires, without Leeway, if exp
	// is later or not there. Default 24 h, at most 30 days.
	MaxLifetime time.Duration

	// CacheFor is how long a request relies on an answer that accepts the token, but not
	// beyond exp: a token that is revoked at the issuer is good here for that long. Default
	// 10 s, at most 1 min; 1 ns for none. Rechecks of connections do not rely on it: see
	// [Introspector.Alive].
	CacheFor time.Duration

	// CacheSize is how many accepted tokens are remembered. Default 4096, at most 1048576.
	// An entry takes about 1 KiB, 16 KiB at most.
	CacheSize int

	// Timeout bounds one introspection, Authorize included. Default 1 s, at most 2 s.
	Timeout time.Duration

	// Key encrypts tokens in Principal.SealedToken: 32 random bytes, the same on all nodes
	// that accept each other's tickets. Nil: a random one, so that a ticket is good on the
	// node that has issued it.
	Key []byte

	// HTTPClient provides the transport; its other fields are not used. Nil: TLS 1.2 or
	// later, the system's roots, the environment's proxy. One that skips the verification of
	// certificates is refused by NewIntrospector, or sends nothing if it hides that from it.
	HTTPClient *http.Client

	// Log receives failed introspections, at most one in 10 s. Nil: slog.Default().
	Log *slog.Logger
}

// LogValue shows the issuer.
func (c IntrospectionConfig) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", c.Issuer))
}

// Format shows the issuer, with every verb.
func (c IntrospectionConfig) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "bearer.IntrospectionConfig{Issuer: %q}", c.Issuer)
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 10

// config returns the Config with the same rules about claims.
func (c IntrospectionConfig) config() Config {
	d := Config{
		Profile: Profile{
			Name: "opaque", Require: c.Require, Forbid: c.Forbid, Optional: []string{"iat", "jti", "client_id"},
			ScopeLists: true, Roles: c.Roles, NoAudience: len(c.Clients) > 0, MaxBytes: maxAnswer,
		},
		Issuer: c.Issuer, Audience: c.Audience, Clients: c.Clients,
		Claims: c.Claims, Attributes: c.Attributes, SessionClaim: c.SessionClaim,
		Revocations: c.Revocations, Sessions: c.Sessions, Resource: c.Resource,
		ResourceScopes: c.ResourceScopes, Realm: c.Realm, FromSubprotocol: c.FromSubprotocol,
		DangerouslyAllowLocalHTTP: c.DangerouslyAllowLocalHTTP,
		Leeway:                    c.Leeway, MaxLifetime: c.MaxLifetime, CacheSize: c.CacheSize, HTTPClient: c.HTTPClient, Log: c.Log,
	}.defaulted()
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return d
}

// defaulted fills in the defaults that Config does not have.
func (c IntrospectionConfig) defaulted() IntrospectionConfig {
	if c.CacheFor == 0 {
		c.CacheFor = 10 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = time.Second
	}
	return c
}

// validate reports everything that is wrong; d is c.config().
func (c IntrospectionConfig) validate(d Config) (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bearer: "+format, args...)) }
	errs = append(errs, d.validateClaims()...)
	errs = append(errs, d.Profile.validateNames("bearer: ")...)
	for _, err := range c.validateEndpoint() {
		wrong("%w", err)
	}
	if n := len(c.Key); n != 0 && n != keySize {
		wrong("Key: it has %d bytes: write %d random ones, or nil for a ticket that is good on one node", n, keySize)
	}
	if c.ClientPrefix != "" && !isName(c.ClientPrefix) {
		wrong("ClientPrefix: %.80q is not a valid prefix: write UTF-8 without control characters", c.ClientPrefix)
	}
	return append(errs, outOfRange([]setting{
		{"Leeway", d.Leeway, 1, 2 * time.Minute},
		{"MaxLifetime", d.MaxLifetime, time.Second, maxMaxLifetime},
		{"CacheFor", c.CacheFor, 1, time.Minute},
		{"Timeout", c.Timeout, time.Millisecond, 2 * time.Second},
	})...)
}

func (c IntrospectionConfig) validateEndpoint() (errs []error) {
	switch {
	case c.Discovery == (c.Endpoint != ""):
		errs = append(errs, mistake("Endpoint", "write either Endpoint, its URL, or Discovery"))
	case c.Discovery:
		errs = append(errs, checkDiscovery(c.Issuer, c.DangerouslyAllowLocalHTTP)...)
	default:
		if err := checkURL(c.Endpoint, c.DangerouslyAllowLocalHTTP); err != nil {
			errs = append(errs, mistake("Endpoint", "%w", err))
		}
	}
	switch {
	case (c.ClientID != "") == (c.Authorize != nil):
		errs = append(errs, mistake("ClientID",
			"write either ClientID and ClientSecret, or Authorize: an endpoint answers only clients that it knows (RFC 7662 §2.1)"))
	case c.ClientSecret != "" && c.ClientID == "":
		errs = append(errs, mistake("ClientSecret", "without ClientID it is not used: leave it empty, or write both"))
	case c.ClientID != "" && c.ClientSecret == "" && c.HTTPClient == nil:
		errs = append(errs, mistake("ClientSecret", "it is empty: write it, or an HTTPClient with a client certificate (RFC 8705 §2)"))
	}
	return errs
}
