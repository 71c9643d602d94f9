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
	private  func() hpke.PrivateKey // fmt sees nothing in a func; a wrong verb prints what is behind a pointer
	id       kid
	notAfter time.Time
}

// PublicKey is what a client knows of a [Key]. The zero PublicKey is no key.
type PublicKey struct {
	suite    Suite
	public   hpke.PublicKey
	id       kid
	notAfter time.Time
}

var errNotAfter = errors.New("seal: key: it needs an end")

// GenerateKey makes a key that is used until notAfter.
func GenerateKey(s Suite, notAfter time.Time) (Key, error) {
	alg, ok := s.algorithms()
	if !ok {
		return Key{}, fmt.Errorf("seal: key: %v is no suite", s)
	}
	private, err := alg.kem.GenerateKey()
	if err != nil {
		return Key{}, fmt.Errorf("seal: key: %w", err)
	}
	return newKey(s, private, notAfter)
}

// ParseKey reads what [Key.Bytes] wrote.
func ParseKey(s Suite, private []byte, notAfter time.Time) (Key, error) {
	alg, ok := s.algorithms()
	if !ok {
		return Key{}, fmt.Errorf("seal: key: %v is no suite", s)
	}
	k, err := alg.kem.NewPrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("seal: key: not a private key of %v", s) // the cause could quote it
	}
	return newKey(s, k, notAfter)
}

func newKey(s Suite, private hpke.PrivateKey, notAfter time.Time) (Key, error) {
	if notAfter.IsZero() {
		return Key{}, errNotAfter
	}
	return Key{s, func() hpke.PrivateKey { return private }, keyID(s, private.PublicKey().Bytes()), notAfter.Truncate(time.Second)}, nil
}

// Bytes is the private key for the place where secrets are kept, in the form of
// RFC 9180 §7.1.2; of X-Wing its seed of 32 bytes.
func (k Key) Bytes() ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("seal: key: the zero Key")
	}
	return k.private().Bytes()
}

// Public is the key to give to clients.
func (k Key) Public() PublicKey {
	if k.private == nil {
		return PublicKey{}
	}
	return PublicKey{k.suite, k.private().PublicKey(), k.id, k.notAfter}
}

// String names the key without showing it.
func (k Key) String() string { return k.Public().String() }

// GoString is String: %#v shows no more.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParsePublicKey reads a key that is pinned in a client. A zero notAfter is for as
// long as the server offers it.
func ParsePublicKey(s Suite, public []byte, notAfter time.Time) (PublicKey, error) {
	alg, ok := s.algorithms()
	if !ok {
		return PublicKey{}, fmt.Errorf("seal: key: %v is no suite", s)
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

// Suite is the one that the key belongs to.
func (k PublicKey) Suite() Suite { return k.suite }

// Bytes is the key as ParsePublicKey takes it.
func (k PublicKey) Bytes() []byte {
	if k.public == nil {
		return nil
	}
	return k.public.Bytes()
}

// NotAfter is when it is used no more; zero: nobody said.
func (k PublicKey) NotAfter() time.Time { return k.notAfter }

// String names the key: the suite and the identifier that both hellos carry.
func (k PublicKey) String() string { return fmt.Sprintf("%v %x", k.suite, k.id) }

func (k PublicKey) offer() offer {
	alg, _ := k.suite.algorithms()
	return offer{k.id, uint16(k.suite), hpke.HKDFSHA256().ID(), alg.aead.ID()}
}

// ended reports whether the key has had its time.
func ended(notAfter, now time.Time) bool { return !notAfter.IsZero() && !now.Before(notAfter) }

func keyID(s Suite, public []byte) kid {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint16([]byte("wss-kid/1"), uint16(s)))
	h.Write(public)
	return kid(h.Sum(nil))
}
