package providers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// zitadelStorage is the example's storage with several keys, and with two scopes: the one by
// which Zitadel adds an audience, and "brief".
type zitadelStorage struct {
	*storage.Storage

	mu   sync.Mutex
	keys []signingKey // the last one signs
}

const (
	scopePrefix = "urn:zitadel:iam:org:project:id:"
	scopeSuffix = ":aud"
)

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.private }

type publicKey struct{ signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.private.PublicKey }

func (s *zitadelStorage) add(key *rsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, signingKey{rand.Text(), key})
}

func (s *zitadelStorage) keepLast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.Clone(s.keys[len(s.keys)-1:])
}

func (s *zitadelStorage) SigningKey(context.Context) (op.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1], nil
}

func (s *zitadelStorage) KeySet(context.Context) (set []op.Key, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		set = append(set, publicKey{k})
	}
	return set, nil
}

func audiences(client string, scopes []string) []string {
	list := []string{client}
	for _, scope := range scopes {
		if project, ok := strings.CutPrefix(scope, scopePrefix); ok {
			list = append(list, strings.TrimSuffix(project, scopeSuffix))
		}
	}
	return list
}

// authRequest and refreshRequest have the audiences of their scopes.
type authRequest struct{ *storage.AuthRequest }

func (r authRequest) GetAudience() []string { return audiences(r.ApplicationID, r.Scopes) }

type refreshRequest struct{ *storage.RefreshTokenRequest }

func (r refreshRequest) GetAudience() []string { return audiences(r.ApplicationID, r.Scopes) }

func (s *zitadelStorage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	r, err := s.Storage.AuthRequestByCode(ctx, code)
	if err != nil {
		return nil, err
	}
	return authRequest{r.(*storage.AuthRequest)}, nil
}

func (s *zitadelStorage) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		return nil, err
	}
	return refreshRequest{r.(*storage.RefreshTokenRequest)}, nil
}

func (s *zitadelStorage) ClientCredentialsTokenRequest(_ context.Context, client string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: client, Audience: audiences(client, scopes), Scopes: scopes}, nil
}

// stored is the request as the example's storage knows it.
func stored(r op.TokenRequest) op.TokenRequest {
	switch r := r.(type) {
	case authRequest:
		return r.AuthRequest
	case refreshRequest:
		return r.RefreshTokenRequest
	}
	return r
}

func (s *zitadelStorage) CreateAccessToken(ctx context.Context, r op.TokenRequest) (id string, expires time.Time, err error) {
	id, expires, err = s.Storage.CreateAccessToken(ctx, stored(r))
	return id, briefly(r, expires), err
}

func (s *zitadelStorage) CreateAccessAndRefreshTokens(ctx context.Context,
	r op.TokenRequest, current string,
) (id, refresh string, expires time.Time, err error) {
	id, refresh, expires, err = s.Storage.CreateAccessAndRefreshTokens(ctx, stored(r), current)
	return id, refresh, briefly(r, expires), err
}

func briefly(r op.TokenRequest, expires time.Time) time.Time {
	if slices.Contains(r.GetScopes(), "brief") {
		return time.Now().Add(5 * time.Second)
	}
	return expires
}
