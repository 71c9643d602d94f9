package bearer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/middleware"
)

// Authenticator accepts the access tokens of one issuer. It is a
// [middleware.Authenticator] and a [middleware.Challenger], and safe for concurrent use.
// The zero value refuses every token.
//
// Two issuers are two Authenticators, with keys apart: a kid of one means nothing to the
// other. Because each refuses the other's tokens rather than passing them on, they go into
// one middleware.Auth as [Issuers].
type Authenticator struct {
	profile     profile
	keys        *source
	cache       *cache
	revocations middleware.Revocations
}

// New returns an Authenticator, or everything that is wrong with the Config.
//
// It does not wait for the issuer: keys are fetched by a goroutine that runs until
// [Authenticator.Close]. Requests that come before the first answer wait for it up to a
// second; without keys they are refused with 503. Config.Keys are read at once, and start
// no goroutine.
func New(cfg Config) (*Authenticator, error) {
	cfg = cfg.defaulted()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	a := &Authenticator{
		profile: profile{
			issuer: cfg.Issuer, audience: cfg.Audience,
			leeway: cfg.Leeway, maxLifetime: cfg.MaxLifetime,
			anyJWT: cfg.DangerouslyAnyJWT, attributes: slices.Clone(cfg.Attributes),
			challenge: `Bearer realm="` + cfg.Realm + `"`, fromSubprotocol: cfg.FromSubprotocol,
		},
		cache:       newCache(cfg.CacheSize),
		revocations: cfg.Revocations,
	}
	for _, alg := range cfg.Algorithms {
		a.profile.algorithms[alg] = true
	}
	keys, err := newSource(cfg, &a.profile.algorithms)
	if err != nil {
		return nil, err
	}
	a.keys = keys
	return a, nil
}

// Close ends the fetching of keys and waits until it has ended; requests are answered
// with the keys at hand until they are stale. It may be called more than once.
func (a *Authenticator) Close() error {
	if a != nil && a.keys != nil {
		a.keys.close()
	}
	return nil
}

// Ambient is false: browsers never send a bearer token unasked.
func (a *Authenticator) Ambient() bool { return false }

// Challenge is the WWW-Authenticate of a request without credential (RFC 6750 §3).
func (a *Authenticator) Challenge() string {
	if a == nil || a.profile.challenge == "" {
		return `Bearer realm="api"`
	}
	return a.profile.challenge
}

// Authenticate returns the principal of the token in the Authorization header, or with
// Config.FromSubprotocol in a subprotocol; [middleware.ErrNoCredential] where that is
// absent or of another scheme; or a [middleware.Refusal]:
//
//   - 400 credential_malformed: two headers, one that cannot be read, a token in the query,
//     in two subprotocols, in one without a real one beside it or on a request that opens
//     no WebSocket, or in both places;
//   - 401 credential_expired, credential_revoked, credential_invalid;
//   - 503 unavailable with Retry-After: the keys, or the revocations, cannot be had.
//
// The principal's Token is [Handle] of the issuer and jti, or [TokenHandle] where there is
// no jti; its Expires is exp and the leeway; its Certificate is the one that the token is
// bound to. Principals of one token share Scopes and Attributes, which must not be
// changed. For a token seen before nothing is allocated.
func (a *Authenticator) Authenticate(r *http.Request) (middleware.Principal, error) {
	token, err := credential(r, a.takesOffered())
	if err == middleware.ErrNoCredential {
		return middleware.Principal{}, err
	}
	if a == nil || a.keys == nil {
		p := profile{challenge: a.Challenge()}
		return middleware.Principal{}, p.refuse(errZero)
	}
	if err != nil {
		return middleware.Principal{}, a.profile.refuse(err)
	}
	return a.admit(r, token)
}

// admit decides about the token that the request was found to carry.
func (a *Authenticator) admit(r *http.Request, token string) (middleware.Principal, error) {
	v, err := a.verified(r.Context(), token)
	if err == nil && v.principal.HeldBy(r) != nil {
		err = errBinding
	}
	if err == nil {
		err = a.revoked(r.Context(), v)
	}
	if err != nil {
		return middleware.Principal{}, a.profile.refuse(err)
	}
	return v.principal, nil
}

// verified returns what is remembered of the token, if its time has not run out, and looks
// at the token itself otherwise.
func (a *Authenticator) verified(ctx context.Context, token string) (*verified, error) {
	if len(token) > MaxTokenBytes {
		return nil, errTooLong
	}
	var room [2048]byte // on the stack, for most tokens
	sum := sha256.Sum256(append(room[:0], token...))
	if v := a.remembered(sum); v != nil {
		return v, v.current(time.Now())
	}
	v, err := a.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	a.cache.put(sum, v)
	return v, nil
}

// remembered returns what the cache has, as long as the issuer still has the key.
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
	head, _, signature, err := split(token)
	if err != nil {
		return nil, err
	}
	at, err := a.profile.header(head)
	if err != nil {
		return nil, err
	}
	k, err := a.keys.find(ctx, at)
	if err != nil {
		return nil, err
	}
	payload, err := k.verify(token, signature, at.alg)
	if err != nil {
		return nil, err
	}
	v, err := a.profile.judge(payload, token, time.Now())
	if err != nil {
		return nil, err
	}
	v.at, v.by = at, k
	return v, nil
}

func (a *Authenticator) revoked(ctx context.Context, v *verified) error {
	if a.revocations == nil {
		return nil
	}
	revoked, err := a.revocations.Revoked(ctx, v.principal)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errRevocations, err)
	case revoked:
		return errRevoked
	}
	return nil
}
