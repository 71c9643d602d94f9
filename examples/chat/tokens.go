package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/session"
)

const (
	// tokenLife is short, because a stolen token can be used until it expires. A socket
	// that it opened ends at the same time.
	tokenLife = 5 * time.Minute

	clientID = "chat-page"
)

// issuer mints access tokens according to RFC 9068 and publishes the key that verifies
// them. It replaces the authorisation server of a real deployment.
type issuer struct {
	name   string // iss, and aud too: these tokens are for this service alone
	key    jwk.Key
	public []byte // the published key set
}

// newIssuer derives the key: each node accepts the tokens of all.
func newIssuer(name string, from *secret) (*issuer, error) {
	seed, err := from.bytes("token key", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	key, err := jwk.Import(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	if err := jwk.AssignKeyID(key); err != nil { // the thumbprint of RFC 7638
		return nil, err
	}
	if err := key.Set(jwk.AlgorithmKey, jwa.EdDSA()); err != nil {
		return nil, err
	}
	if err := key.Set(jwk.KeyUsageKey, jwk.ForSignature); err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	set := jwk.NewSet()
	if err := set.AddKey(public); err != nil {
		return nil, err
	}
	doc, err := json.Marshal(set)
	return &issuer{name: name, key: key, public: doc}, err
}

// authenticator returns an authenticator that accepts only tokens of this issuer, and only
// while the session that a token was issued in (its sid claim) is alive.
func (i *issuer) authenticator(sessions *session.Manager) (*bearer.Authenticator, error) {
	return bearer.New(bearer.Config{
		Issuer:      i.name,
		Audience:    []string{i.name},
		Keys:        i.public, // the same process: nothing to fetch. Elsewhere: JWKS: name + "/.well-known/jwks.json"
		Algorithms:  []bearer.Algorithm{bearer.EdDSA},
		MaxLifetime: tokenLife,
		Realm:       "chat",
		Sessions:    sessions,
	})
}

// mint returns a token for the subject. If session is not empty, it is the handle of the
// session that the token ends with.
func (i *issuer) mint(subject, session string, now time.Time) (string, error) {
	builder := jwt.NewBuilder().
		Issuer(i.name).
		Audience([]string{i.name}).
		Subject(subject).
		IssuedAt(now).
		Expiration(now.Add(tokenLife)).
		JwtID(rand.Text()).
		Claim("client_id", clientID)
	if session != "" {
		builder = builder.Claim("sid", session)
	}
	token, err := builder.Build()
	if err != nil {
		return "", err
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, "at+jwt"); err != nil { // so that an ID token is not accepted as one (RFC 9068 §2.1)
		return "", err
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.EdDSA(), i.key, jws.WithProtectedHeaders(header)))
	return string(signed), err
}

// serveToken is POST /api/token: it mints a token for the signed-in user, bound to the
// session, for native clients that store no cookies.
func (i *issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	token, err := i.mint(p.Subject, p.SessionHandle, time.Now())
	if err != nil {
		middleware.Refuse(w, r, fmt.Errorf("chat: token: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, struct { // RFC 6749 §5.1
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}{token, "Bearer", int(tokenLife / time.Second)})
}

// serveKeys is GET /.well-known/jwks.json.
func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(i.public)
}
