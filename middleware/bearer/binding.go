package bearer

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

var errBinding = errors.New("token is bound to a key that the request does not prove")

// parseBinding reads a cnf claim (RFC 7800 §3.1) and returns the thumbprint of the client
// certificate that the token is bound to (RFC 8705 §3.1), which can be checked. Every other
// binding, DPoP's jkt first of all (RFC 9449 §7.1), would turn into a plain bearer token if
// it were ignored, so it refuses.
func parseBinding(cnf []byte) (string, error) {
	members, err := object(cnf)
	if err != nil || len(members) != 1 || string(members[0].name) != "x5t#S256" {
		return "", errBinding
	}
	thumbprint, _ := text(members[0].value)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(thumbprint)
	if err != nil || len(raw) != sha256.Size {
		return "", errBinding
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}
