package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Authenticator accepts the access tokens of one issuer. It is a [middleware.Revocable],
// a [middleware.Challenger], a [middleware.Stripper] and a [middleware.Asker], and safe for
// concurrent use. The zero value refuses every token.
//
// Two issuers are two Authenticators with separate keys: a kid of one means nothing to the
// other. Because each refuses the other's tokens instead of passing them on, they go into
// one middleware.Auth as [Issuers].
type Authenticator struct {
	boundsItself

	rules    rules
	keys     *source
	cache    *cache[verified]
	liveness liveness
}

// boundsItself says that an Authenticator bounds its waits for keys, Revocations and Sessions,
// and an Introspector those for its endpoint.
type boundsItself = bounded.Self

var _, _, _ = Authenticator{}.boundsItself, Introspector{}.boundsItself, Issuers{}.boundsItself // read by bounded.BoundsItself

// New returns an Authenticator, or everything that is wrong with the Config.
//
// It does not wait for the issuer: a goroutine fetches the keys until
// [Authenticator.Close]. Requests before the first answer wait for it up to a second;
// without keys they are refused with 503. Config.Keys are read at once, without a
// goroutine.
func New(cfg Config) (*Authenticator, error) {
	cfg = cfg.defaulted()
	algorithms, set, err := cfg.compileKeys()
	if err := errors.Join(cfg.validate(), err); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	a := &Authenticator{
		rules:    newRules(cfg, algorithms),
		cache:    newCache[verified](cfg.CacheSize),
		liveness: newLiveness(cfg),
	}
	a.keys = newSource(cfg, &a.rules.algorithms, set)
	return a, nil
}

func (a *Authenticator) zero() bool { return a == nil || a.keys == nil }

// compileKeys reads Keys, if they are given.
func (c Config) compileKeys() (algorithms algorithmSet, set *keySet, err error) {
	for _, a := range c.Algorithms {
		if a.String() != "" {
			algorithms[a] = true
		}
	}
	if c.Keys == nil {
		return algorithms, nil, nil
	}
	if set, err = parseKeySet(c.Keys, &algorithms, c.Profile.NoKeyID, nil); err != nil {
		err = fmt.Errorf("bearer: Keys: %w", err)
	}
	return algorithms, set, err
}

// Close ends the fetching of keys and waits until it has ended; requests are answered
// with the keys fetched before, until they are stale. It may be called more than once.
func (a *Authenticator) Close() error {
	if !a.zero() {
		a.keys.close()
	}
	return nil
}

// Ambient is false: browsers never send a bearer token automatically.
func (a *Authenticator) Ambient() bool { return false }

// Exclusive names [NewIssuers], by which a middleware.Auth has several.
func (a *Authenticator) Exclusive() string { return "bearer.NewIssuers" }

// Challenge is the WWW-Authenticate of a request without credential (RFC 6750 §3).
func (a *Authenticator) Challenge() string {
	if a.zero() {
		return zeroChallenge
	}
	return a.rules.challenge
}

// Authenticate returns the principal of the token in the Authorization header or, with
// Config.FromSubprotocol, in a subprotocol. Its error is [middleware.ErrNoCredential] if
// there is none, or one of another scheme; otherwise a [middleware.Refusal]:
//
//   - 400 credential_malformed: two headers, one that cannot be read, a token in the query,
//     in two subprotocols, in one without a real one beside it or on a request that is not
//     a handshake, or in both places;
//   - 401 credential_expired, credential_revoked: of the token or its session; expired
//     with Retry-After if a token issued later may be good, see Config.Revocations;
//   - 401 credential_invalid;
//   - 503 unavailable with Retry-After: the keys are not available, or Revocations or
//     Sessions do not answer. If they panic, the error is not a Refusal, and the answer 500.
//
// The principal's TokenHandle is [TokenHandle] of the issuer and jti, or [TokenHandleOf] if
// it has none. Its SessionHandle is sid, or its [SessionHandle] without
// Config.Sessions. Its Expires is exp plus the leeway, its AuthTime is auth_time, its
// SigningKey the key of the issuer, and its Binding has the certificate that the token is
// bound to. Principals of one token share Scopes, Roles, Attributes and Claims, which must not
// be changed. A token seen before costs no allocation, or one if it has a session of Config.Sessions.
func (a *Authenticator) Authenticate(r *http.Request) (middleware.Principal, error) {
	token, err := credential(r, a.takesOffered())
	if err == middleware.ErrNoCredential {
		return middleware.Principal{}, err
	}
	if a.zero() {
		return middleware.Principal{}, refuseZero()
	}
	if err != nil {
		return middleware.Principal{}, a.rules.refuse(err)
	}
	return a.admit(r, token)
}

// admit decides about the token of the request.
func (a *Authenticator) admit(r *http.Request, token string) (middleware.Principal, error) {
	v, err := a.verified(r.Context(), token)
	if err == nil && v.principal.HeldBy(r) != nil {
		err = errBinding
	}
	var p middleware.Principal
	if err == nil {
		p, err = a.liveness.admit(r.Context(), &v.principal)
	}
	if err != nil {
		return middleware.Principal{}, a.rules.refuse(err)
	}
	return p, nil
}

// verified returns the cached result for the token, or verifies the token.
func (a *Authenticator) verified(ctx context.Context, token string) (*verified, error) {
	if len(token) > a.rules.profile.MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes are more than %d; see Profile.MaxBytes", errTooLong, len(token), a.rules.profile.MaxBytes)
	}
	sum := sumOf(token)
	if v := a.remembered(sum); v != nil {
		return v, v.current(time.Now())
	}
	v, err := a.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if v.size() <= maxEntry {
		a.cache.put(sum, v)
	}
	return v, nil
}

// maxEntry bounds the memory of one remembered token. One that takes more, for instance with
// thousands of one-letter scopes, is verified every time.
const maxEntry = 16 << 10

// size estimates the memory of a remembered token, in bytes.
func (v *verified) size() int {
	const each = 32 // of a string and what allocation rounds up
	n := 512 + len(v.principal.Issuer) + len(v.principal.Subject) + len(v.principal.SealedToken)
	for _, list := range [...][]string{v.principal.Scopes, v.principal.Roles} {
		for _, s := range list {
			n += len(s) + each
		}
	}
	for _, values := range [...]map[string]string{v.principal.Attributes, v.principal.Claims} {
		for name, value := range values {
			n += len(name) + len(value) + 2*each
		}
	}
	return n
}

// remembered returns the cached result, as long as the issuer still has the key.
func (a *Authenticator) remembered(sum [sha256.Size]byte) *verified {
	set := a.keys.usable()
	if set == nil {
		return nil
	}
	if v := a.cache.get(sum); v != nil && set.keys[v.at] == v.by {
		return v
	}
	return nil
}

func (a *Authenticator) verify(ctx context.Context, token string) (*verified, error) {
	s, err := a.signed(ctx, &a.rules, token)
	if err != nil {
		return nil, err
	}
	v, err := a.rules.validate(s.payload, token, time.Now())
	if err == nil {
		err = a.rules.maySign(s.by, v.principal.Issuer)
	}
	if err != nil {
		return nil, err
	}
	v.at, v.by, v.principal.SigningKey = s.at, s.by, s.by.thumbprint
	return v, nil
}

// signed is the payload of a token, and the key that its signature verified under.
type signed struct {
	payload []byte
	at      slot
	by      *key
}

// signed checks the header by the rules, and the signature.
func (a *Authenticator) signed(ctx context.Context, c *rules, token string) (signed, error) {
	head, payload, signature, err := split(token)
	if err != nil {
		return signed{}, err
	}
	at, err := c.header(head)
	if err != nil {
		return signed{}, err
	}
	named := at.kid != ""
	if a.keys.lacks(at) {
		if err := c.fromUs(token); err != nil {
			return signed{}, err
		}
	}
	at, k, err := a.keys.find(ctx, at)
	if err != nil {
		return signed{}, err
	}
	err = k.verify(token, signature, at.alg)
	if err != nil && !named {
		if at, k, err = a.keys.newer(ctx, at.alg, k); err == nil {
			err = k.verify(token, signature, at.alg)
		}
	}
	if err != nil {
		return signed{}, err
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return signed{}, errShape
	}
	return signed{decoded, at, k}, nil
}
