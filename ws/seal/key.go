package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Key is a server's private key for one suite. The zero Key opens nothing.
type Key struct {
	suite    Suite
	private  func() hpke.PrivateKey // fmt cannot print a func's result; with a wrong verb it follows a pointer
	id       kid
	notAfter time.Time
}

// PublicKey is the public part of a [Key]. The zero PublicKey is not a key.
type PublicKey struct {
	suite    Suite
	public   hpke.PublicKey
	id       kid
	notAfter time.Time
}

var errNotAfter = errors.New("seal: key: notAfter is zero: want a time")

// GenerateKey returns a new key that is used until notAfter, which must not be zero and loses its
// fraction of a second.
func GenerateKey(s Suite, notAfter time.Time) (Key, error) {
	alg, ok := s.algorithms()
	if !ok {
		return Key{}, fmt.Errorf("seal: key: %v: unknown suite", s)
	}
	private, err := alg.kem.GenerateKey()
	if err != nil {
		return Key{}, fmt.Errorf("seal: key: %w", err)
	}
	return newKey(s, private, notAfter)
}

// ParseKey parses the output of [Key.Bytes]. notAfter is as in [GenerateKey]. The error does not
// quote the key.
func ParseKey(s Suite, private []byte, notAfter time.Time) (Key, error) {
	alg, ok := s.algorithms()
	if !ok {
		return Key{}, fmt.Errorf("seal: key: %v: unknown suite", s)
	}
	k, err := alg.kem.NewPrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("seal: key: not a private key of %v", s) // without the cause, which could quote it
	}
	return newKey(s, k, notAfter)
}

func newKey(s Suite, private hpke.PrivateKey, notAfter time.Time) (Key, error) {
	if notAfter.IsZero() {
		return Key{}, errNotAfter
	}
	return Key{s, func() hpke.PrivateKey { return private }, keyID(s, private.PublicKey().Bytes()), notAfter.Truncate(time.Second)}, nil
}

// Bytes returns the private key, to be kept in a secret store, in the form of RFC 9180
// §7.1.2; for X-Wing, its seed of 32 bytes.
func (k Key) Bytes() ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("seal: key: the zero Key")
	}
	return k.private().Bytes()
}

// Public returns the public key, which is given to clients.
func (k Key) Public() PublicKey {
	if k.private == nil {
		return PublicKey{}
	}
	return PublicKey{k.suite, k.private().PublicKey(), k.id, k.notAfter}
}

// String returns the suite and the key's identifier, without the key.
func (k Key) String() string { return k.Public().String() }

// GoString returns String, so that %#v prints no secret.
func (k Key) GoString() string { return k.String() }

// LogValue returns String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParsePublicKey parses a key that is pinned in a client. With a zero notAfter it is used
// for as long as the server offers it.
func ParsePublicKey(s Suite, public []byte, notAfter time.Time) (PublicKey, error) {
	alg, ok := s.algorithms()
	if !ok {
		return PublicKey{}, fmt.Errorf("seal: key: %v: unknown suite", s)
	}
	if len(public) != alg.pkSize {
		return PublicKey{}, fmt.Errorf("seal: key: %d bytes; a public key of %v has %d", len(public), s, alg.pkSize)
	}
	pk, err := alg.kem.NewPublicKey(public)
	if err != nil {
		return PublicKey{}, fmt.Errorf("seal: key: %w", err)
	}
	return PublicKey{s, pk, keyID(s, public), notAfter}, nil
}

// Suite returns the suite of the key.
func (k PublicKey) Suite() Suite { return k.suite }

// Bytes returns the key in the form that ParsePublicKey accepts.
func (k PublicKey) Bytes() []byte {
	if k.public == nil {
		return nil
	}
	return k.public.Bytes()
}

// NotAfter returns the time after which the key is not used; zero: unknown.
func (k PublicKey) NotAfter() time.Time { return k.notAfter }

// String returns the suite and the key's identifier in both hellos.
func (k PublicKey) String() string { return fmt.Sprintf("%v %x", k.suite, k.id) }

func (k PublicKey) offer() offer {
	alg, _ := k.suite.algorithms()
	return offer{k.id, uint16(k.suite), hpke.HKDFSHA256().ID(), alg.aead.ID()}
}

// ended reports whether notAfter is set and reached.
func ended(notAfter, now time.Time) bool { return !notAfter.IsZero() && !now.Before(notAfter) }

func keyID(s Suite, public []byte) kid {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint16([]byte("wss-kid/1"), uint16(s)))
	h.Write(public)
	return kid(h.Sum(nil))
}
