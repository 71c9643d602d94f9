package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
)

// thumbprintOf returns the JWK SHA-256 thumbprint of a key (RFC 7638 §3, RFC 8037 §2): the
// hash of its required members, in the order of their names, without white space.
func thumbprintOf(public crypto.PublicKey) string {
	var members string
	switch k := public.(type) {
	case *rsa.PublicKey:
		members = `{"e":"` + encode(big.NewInt(int64(k.E)).Bytes()) + `","kty":"RSA","n":"` + encode(k.N.Bytes()) + `"}`
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y (SEC 1 §2.3.3)
		if err != nil {
			return ""
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		members = `{"crv":"` + k.Params().Name + `","kty":"EC","x":"` + encode(x) + `","y":"` + encode(y) + `"}`
	case ed25519.PublicKey:
		members = `{"crv":"Ed25519","kty":"OKP","x":"` + encode(k) + `"}`
	}
	sum := sha256.Sum256([]byte(members))
	return encode(sum[:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
