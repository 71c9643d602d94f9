package bearer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// Algorithm is a signature algorithm for tokens. The set is closed: it has neither a value
// for "none" (RFC 8725 §3.2), nor for a MAC, whose key would be the public one
// (RFC 8725 §2.1). The zero value is invalid.
type Algorithm uint8

// The algorithms of RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9864 §2.2. EdDSA and Ed25519 are
// two names of one algorithm; a token must carry the name that is on the list, and its
// key's alg, if it has one, must be the same name.
const (
	RS256 Algorithm = iota + 1
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	EdDSA
	Ed25519
	algorithmEnd
)

// String returns the name in a token's alg; "" outside of the set.
func (a Algorithm) String() string {
	switch a {
	case RS256:
		return "RS256"
	case RS384:
		return "RS384"
	case RS512:
		return "RS512"
	case PS256:
		return "PS256"
	case PS384:
		return "PS384"
	case PS512:
		return "PS512"
	case ES256:
		return "ES256"
	case ES384:
		return "ES384"
	case ES512:
		return "ES512"
	case EdDSA:
		return "EdDSA"
	case Ed25519:
		return "Ed25519"
	}
	return ""
}

// algorithmSet is which algorithms a configuration admits.
type algorithmSet [algorithmEnd]bool

// supported are all algorithms.
var supported = func() (s algorithmSet) {
	for a := range algorithmEnd {
		s[a] = a.String() != ""
	}
	return s
}()

// named returns the admitted algorithm of that exact name (RFC 7515 §4.1.1:
// case-sensitive); 0 if there is none.
func (s *algorithmSet) named(name string) Algorithm {
	for a := range algorithmEnd {
		if s[a] && a.String() == name {
			return a
		}
	}
	return 0
}

// verifiers are those of jwx, by algorithm.
var verifiers = [algorithmEnd]jws.Verifier2{
	RS256: verifier(jwa.RS256()), RS384: verifier(jwa.RS384()), RS512: verifier(jwa.RS512()),
	PS256: verifier(jwa.PS256()), PS384: verifier(jwa.PS384()), PS512: verifier(jwa.PS512()),
	ES256: verifier(jwa.ES256()), ES384: verifier(jwa.ES384()), ES512: verifier(jwa.ES512()),
	EdDSA: verifier(jwa.EdDSA()), Ed25519: verifier(jwa.EdDSAEd25519()),
}

func verifier(alg jwa.SignatureAlgorithm) jws.Verifier2 {
	v, err := jws.VerifierFor(alg)
	if err != nil { // never, says its documentation
		panic(err)
	}
	return v
}

// fits reports whether a key of this type and curve is for the algorithm
// (RFC 7518 §3.3-3.5: P-256 goes with ES256 and nothing else).
func (a Algorithm) fits(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return a >= RS256 && a <= PS512
	case *ecdsa.PublicKey:
		return a == ES256 && k.Curve == elliptic.P256() ||
			a == ES384 && k.Curve == elliptic.P384() ||
			a == ES512 && k.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return a == EdDSA || a == Ed25519
	}
	return false
}

// signatureSize is the only length a signature under the key can have
// (RFC 7518 §3.3-3.5, RFC 8032 §5.1.6).
func signatureSize(public any) int {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return k.Size()
	case *ecdsa.PublicKey:
		return 2 * ((k.Curve.Params().BitSize + 7) / 8)
	case ed25519.PublicKey:
		return ed25519.SignatureSize
	}
	return -1
}
