package bearer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/securews/securews/middleware"
)

const (
	keySize   = 32 // of IntrospectionConfig.Key: AES-256
	saltSize  = 32
	nonceSize = 12
)

var errSealed = errors.New("the token is sealed with the key of another node, or was changed; see IntrospectionConfig.Key")

// sealer encrypts tokens by AES-256-GCM. Each is encrypted under a key and a nonce of its own,
// derived from a random salt, so that the number of tokens under one key has no bound
// (NIST SP 800-38D §8.3).
type sealer struct{ key [keySize]byte }

func newSealer(key []byte) (s sealer) {
	if copy(s.key[:], key) == 0 {
		_, _ = rand.Read(s.key[:]) // never fails (crypto/rand)
	}
	return s
}

// seal returns the SealedToken of the principal: the salt and the ciphertext in base64url. It
// is good for the Issuer and TokenHandle of p alone.
func (s *sealer) seal(token string, p *middleware.Principal) string {
	var salt [saltSize]byte
	_, _ = rand.Read(salt[:])
	aead, nonce := s.derive(salt[:])
	return base64.RawURLEncoding.EncodeToString(aead.Seal(salt[:], nonce, []byte(token), boundTo(p)))
}

// open returns the token in p.SealedToken.
func (s *sealer) open(p *middleware.Principal) (string, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(p.SealedToken)
	if err != nil || len(sealed) < saltSize {
		return "", errSealed
	}
	aead, nonce := s.derive(sealed[:saltSize])
	token, err := aead.Open(nil, nonce, sealed[saltSize:], boundTo(p))
	if err != nil {
		return "", errSealed
	}
	return string(token), nil
}

func (s *sealer) derive(salt []byte) (aead cipher.AEAD, nonce []byte) {
	out, err := hkdf.Key(sha256.New, s.key[:], salt, "securews bearer.Introspector 1", keySize+nonceSize)
	if err != nil {
		panic(err) // the length is a constant
	}
	block, err := aes.NewCipher(out[:keySize])
	if err != nil {
		panic(err)
	}
	if aead, err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
	return aead, out[keySize:]
}

// boundTo is the additional data: an issuer has no control characters.
func boundTo(p *middleware.Principal) []byte { return []byte(p.Issuer + "\x00" + p.TokenHandle) }
