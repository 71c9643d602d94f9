package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"
)

// Suite is a set of algorithms, named by the identifier of its KEM (RFC 9180 §7.1). The KDF
// is HKDF-SHA256 in all of them. No other suites are supported.
type Suite uint16

const (
	XWing  Suite = 0x647a // MLKEM768-X25519 with AES-256-GCM: resists quantum computers
	X25519 Suite = 0x0020 // DHKEM(X25519, HKDF-SHA256) with AES-128-GCM
	P256   Suite = 0x0010 // DHKEM(P-256, HKDF-SHA256) with AES-128-GCM
)

// defaultSuites returns the suites, in order of preference, if none are given.
func defaultSuites() []Suite { return []Suite{XWing, X25519, P256} }

// String returns the name of the suite.
func (s Suite) String() string {
	switch s {
	case XWing:
		return "X-Wing/AES-256-GCM"
	case X25519:
		return "X25519/AES-128-GCM"
	case P256:
		return "P-256/AES-128-GCM"
	}
	return fmt.Sprintf("Suite(%#04x)", uint16(s))
}

// algorithms are the parts of a suite.
type algorithms struct {
	kem     hpke.KEM
	aead    hpke.AEAD
	keySize int // of the AEAD
	encSize int // of the encapsulated key
	pkSize  int
}

func (s Suite) algorithms() (algorithms, bool) {
	switch s {
	case XWing:
		return algorithms{hpke.MLKEM768X25519(), hpke.AES256GCM(), 32, 1120, 1216}, true
	case X25519:
		return algorithms{hpke.DHKEM(ecdh.X25519()), hpke.AES128GCM(), 16, 32, 32}, true
	case P256:
		return algorithms{hpke.DHKEM(ecdh.P256()), hpke.AES128GCM(), 16, 65, 65}, true
	}
	return algorithms{}, false
}
