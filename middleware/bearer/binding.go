package bearer

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
)

var errBinding = errors.New("token is bound to a key that the request does not prove")

// binding is the SHA-256 of the client certificate a token is bound to.
type binding [sha256.Size]byte

// parseBinding reads a cnf claim (RFC 7800 §3.1). A certificate's thumbprint can be checked
// (RFC 8705 §3.1); every other binding, DPoP's jkt first of all (RFC 9449 §7.1), would
// turn into a plain bearer token if it were ignored, so it refuses.
func parseBinding(cnf []byte) (*binding, error) {
	members, err := object(cnf)
	if err != nil || len(members) != 1 || string(members[0].name) != "x5t#S256" {
		return nil, errBinding
	}
	thumbprint, _ := text(members[0].value)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(thumbprint)
	if err != nil || len(raw) != sha256.Size {
		return nil, errBinding
	}
	b := binding(raw)
	return &b, nil
}

// String is the thumbprint as RFC 8705 §3.1 writes it.
func (b *binding) String() string { return base64.RawURLEncoding.EncodeToString(b[:]) }

// check compares with the certificate of the connection, which must end its TLS here.
func (b *binding) check(state *tls.ConnectionState) error {
	if b == nil {
		return nil
	}
	if state == nil || len(state.PeerCertificates) == 0 {
		return errBinding
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	if subtle.ConstantTimeCompare(sum[:], b[:]) != 1 {
		return errBinding
	}
	return nil
}
