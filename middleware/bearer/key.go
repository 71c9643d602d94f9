package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// The sizes of RSA keys that are used: RFC 7518 §3.3 wants 2048 bits, and above 4096 one
// verification, which a forged token causes too, costs more than a handshake should.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// maxOperations is how many key_ops are read; RFC 7517 §4.3 knows eight.
const maxOperations = 16

var (
	errKeyJSON     = errors.New("not a JSON object with text where text belongs")
	errKeyNoID     = errors.New("no kid; see Profile.NoKeyID")
	errKeyPrivate  = errors.New("has private members: any reader of the set could sign")
	errKeyUse      = errors.New("use or key_ops is not for verifying signatures")
	errKeyAlg      = errors.New("alg is not on the list or not for this key")
	errKeyKind     = errors.New("kind or curve is not supported")
	errKeyMaterial = errors.New("key material is malformed, weak or off its curve")
)

// key is one public key and the algorithms it may be used with.
type key struct {
	public     crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	algorithms []Algorithm
	thumbprint string
	issuer     string // Entra ID names that of each key; empty: none
}

// isFor reports whether the key signs for the issuer of a tenant. Entra ID writes "{tenantid}" into
// the issuer of a key of all tenants, and a tenant's id into that of one alone. Version 1.0 tokens have
// another host, so the tenants are compared, and that of iss: the key of another tenant could sign
// any claim beside it.
func (k *key) isFor(iss string) bool {
	tenant := tenantIn(k.issuer)
	return k.issuer == "" || strings.EqualFold(tenant, "{tenantid}") || tenant != "" && tenant == tenantIn(iss)
}

// tenantIn returns the first part of the path of an issuer of Entra ID.
func tenantIn(iss string) string {
	_, behind, _ := strings.Cut(iss, "://")
	_, path, _ := strings.Cut(behind, "/")
	tenant, _, _ := strings.Cut(path, "/")
	return tenant
}

// same reports whether both are the same public key of the same issuer.
func (k *key) same(other *key) bool {
	if k == nil || other == nil {
		return false
	}
	p, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(other.public) && k.issuer == other.issuer
}

// parseKey reads one JWK. Members it does not use, x5c among them, are ignored. The kid is returned
// even of a key that cannot be used.
func parseKey(raw []byte, algorithms *algorithmSet) (k *key, kid string, err error) {
	members, err := object(raw)
	if err != nil {
		return nil, "", errKeyJSON
	}
	jwk := map[string][]byte{}
	for _, m := range members {
		jwk[string(m.name)] = m.value
	}
	kid, _ = text(jwk["kid"])
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if jwk[private] != nil {
			return nil, kid, errKeyPrivate
		}
	}
	if !forVerifying(jwk) {
		return nil, kid, errKeyUse
	}
	public, err := publicKey(jwk)
	if err != nil {
		return nil, kid, err
	}
	k = &key{public: public, thumbprint: thumbprintOf(public)}
	k.issuer, _ = text(jwk["issuer"])
	own, _ := text(jwk["alg"])
	for a := range algorithmEnd {
		if algorithms[a] && a.fits(public) && (jwk["alg"] == nil || own == a.String()) {
			k.algorithms = append(k.algorithms, a)
		}
	}
	if len(k.algorithms) == 0 {
		return nil, kid, errKeyAlg
	}
	return k, kid, nil
}

// forVerifying follows RFC 7517 §4.2 and §4.3: use and key_ops of a key are respected.
func forVerifying(jwk map[string][]byte) bool {
	if v := jwk["use"]; v != nil {
		if use, _ := text(v); use != "sig" {
			return false
		}
	}
	if v := jwk["key_ops"]; v != nil {
		list, ok := array(v, maxOperations)
		verify := false
		for _, op := range list {
			name, isText := text(op)
			ok = ok && isText
			verify = verify || name == "verify"
		}
		return ok && verify
	}
	return true
}

// publicKey reads the key material itself: jwx's reader can be changed for the whole
// process, and rejects a key for members that do not matter here.
func publicKey(jwk map[string][]byte) (crypto.PublicKey, error) {
	kty, _ := text(jwk["kty"])
	crv, _ := text(jwk["crv"])
	switch {
	case kty == "RSA":
		return rsaKey(octets(jwk["n"]), octets(jwk["e"]))
	case kty == "EC" && crv == "P-256":
		return ecKey(elliptic.P256(), octets(jwk["x"]), octets(jwk["y"]))
	case kty == "EC" && crv == "P-384":
		return ecKey(elliptic.P384(), octets(jwk["x"]), octets(jwk["y"]))
	case kty == "EC" && crv == "P-521":
		return ecKey(elliptic.P521(), octets(jwk["x"]), octets(jwk["y"]))
	case kty == "OKP" && crv == "Ed25519":
		return edKey(octets(jwk["x"]))
	}
	return nil, errKeyKind
}

// rsaKey follows RFC 7518 §6.3.1. Leading zeros, which the RFC warns that some libraries
// write, are harmless.
func rsaKey(n, e []byte) (crypto.PublicKey, error) {
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	bits := modulus.BitLen()
	if bits < minRSABits || bits > maxRSABits || modulus.Bit(0) == 0 ||
		exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Int64() < 3 {
		return nil, errKeyMaterial
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

// ecKey follows RFC 7518 §6.2.1: full-size coordinates of a point on the curve.
func ecKey(curve elliptic.Curve, x, y []byte) (crypto.PublicKey, error) {
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, errKeyMaterial
	}
	point := append(append([]byte{4}, x...), y...)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errKeyMaterial
	}
	return public, nil
}

// edKey follows RFC 8037 §2.
func edKey(x []byte) (crypto.PublicKey, error) {
	if len(x) != ed25519.PublicKeySize || isSmallOrder(x) {
		return nil, errKeyMaterial
	}
	return ed25519.PublicKey(x), nil
}

// isSmallOrder reports whether x is one of the points, by their y coordinate, under which
// an attacker can sign without a private key (RFC 8725 §3.4); crypto/ed25519 accepts them.
func isSmallOrder(x []byte) bool {
	y := [ed25519.PublicKeySize]byte(x)
	y[len(y)-1] &= 0x7f // the sign of the other coordinate
	switch hex.EncodeToString(y[:]) {
	case "0000000000000000000000000000000000000000000000000000000000000000", // 0
		"0100000000000000000000000000000000000000000000000000000000000000", // 1
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // -1
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, another 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, another 1
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // of order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a":
		return true
	}
	return false
}

// octets decodes a member of a JWK; nil if it is not base64url.
func octets(value []byte) []byte {
	s, _ := text(value)
	if !canonical(s) {
		return nil
	}
	raw, _ := base64.RawURLEncoding.DecodeString(s)
	return raw
}
