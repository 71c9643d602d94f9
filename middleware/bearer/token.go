package bearer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	errTooLong    = errors.New("token is too long")
	errShape      = errors.New("token is not a compact JWS of three parts in canonical base64url; if it is opaque, see NewIntrospector")
	errHeader     = errors.New("token header is not strict JSON")
	errAlgorithm  = errors.New("token alg is missing or not on the list")
	errKeyID      = errors.New("token has no kid")
	errType       = errors.New("token typ is not that of an access token")
	errParameter  = errors.New("token header brings a key, names a place to fetch one from, or asks for an extension")
	errNested     = errors.New("token is nested")
	errUnknownKey = errors.New("token kid and alg name no single key of the issuer")
	errKeyTenant  = errors.New("token is signed by a key of another tenant")
	errWithdrawn  = errors.New("the issuer has withdrawn the key that signed the token")
	errSignature  = errors.New("token signature does not verify")
)

// slot is the place of a key in a set: kid and alg together name one key.
type slot struct {
	kid string
	alg Algorithm
}

// split checks the shape of a token (RFC 7515 §7.1) and returns its three parts, still
// encoded. Every part must be what an encoder writes: no padding, no other alphabet, no
// line breaks, no stray bits in the last character. That leaves one spelling per token,
// so that it can be the key of a cache or deny-list.
func split(token string) (head, payload, signature string, err error) {
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	if !canonical(head) || !canonical(payload) || !canonical(signature) {
		return "", "", "", errShape
	}
	return head, payload, signature, nil
}

// isJWS reports whether the token looks like a JWT, so that its parts mean something. Only its header
// has to be spelled as split wants it: other verifiers read other spellings of a signature.
func isJWS(token string) bool {
	head, rest, _ := strings.Cut(token, ".")
	if !strings.Contains(rest, ".") {
		return false
	}
	doc, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return false
	}
	_, err = object(doc)
	return err == nil
}

// canonical reports whether s is non-empty base64url as RFC 4648 §3.5 and §5 want it.
func canonical(s string) bool {
	var last int8
	for i := range len(s) {
		if last = sextets[s[i]]; last < 0 {
			return false
		}
	}
	switch len(s) % 4 {
	case 0:
		return s != ""
	case 2:
		return last&0x0f == 0
	case 3:
		return last&0x03 == 0
	}
	return false
}

// sextets has the value of each character of base64url (RFC 4648 §5), and -1 for any other.
var sextets = func() (table [256]int8) {
	for i := range table {
		table[i] = int8(strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", byte(i)))
	}
	return table
}()

// header reads the protected header and returns the slot of the key it asks for.
// Parameters it does not know are ignored (RFC 7515 §4), x5c, x5t and x5t#S256 among
// them: the key is found by kid alone.
func (c *rules) header(head string) (slot, error) {
	doc, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return slot{}, errShape
	}
	members, err := object(doc)
	if err != nil {
		return slot{}, errHeader
	}
	var h parameters
	for _, m := range members {
		if err := h.take(m); err != nil {
			return slot{}, err
		}
	}
	at := slot{h.kid, c.algorithms.named(h.alg)}
	switch {
	case at.alg == 0 && supported.named(h.alg) == 0:
		return slot{}, fmt.Errorf("%w: it is %.20q, which no Config accepts; see Algorithm", errAlgorithm, h.alg)
	case at.alg == 0:
		return slot{}, fmt.Errorf("%w: it is %.20q; see Config.Algorithms", errAlgorithm, h.alg)
	case at.kid == "" && !c.profile.NoKeyID:
		return slot{}, fmt.Errorf("%w; see Profile.NoKeyID", errKeyID)
	case !c.admitsType(h.typ, h.typed):
		return slot{}, fmt.Errorf("%w: it is %.40q; want one of %q; see Config.Profile", errType, h.typ, c.profile.Types)
	}
	return at, nil
}

// fromUs returns errIssuer if the token names another issuer. That is not verified, and decides
// whether its key is worth a fetch.
func (c *rules) fromUs(token string) error {
	if iss, err := unverifiedIssuer(token); err == nil && !c.issuer.owns(iss) {
		return fmt.Errorf("%w: iss is %.200q; want Config.Issuer, %.200q", errIssuer, iss, c.issuer.name)
	}
	return nil
}

// parameters are those of a header that decide.
type parameters struct {
	alg, kid, typ string
	typed         bool
}

func (h *parameters) take(m member) error {
	ok := true
	switch string(m.name) {
	case "alg":
		h.alg, ok = text(m.value)
	case "kid":
		h.kid, ok = text(m.value)
	case "typ":
		h.typ, h.typed = text(m.value)
		ok = h.typed
	case "cty": // RFC 7519 §5.2
		var cty string
		if cty, ok = text(m.value); isMediaType(cty, "jwt") {
			return errNested
		}
	case "crit", "b64", "zip", "jku", "x5u", "jwk", "enc", "epk":
		return errParameter // RFC 7515 §4.1.11, RFC 8725 §3.10
	}
	if !ok {
		return errHeader
	}
	return nil
}

// admitsType follows RFC 9068 §2.1 and §4, unless the Profile says otherwise.
func (c *rules) admitsType(typ string, typed bool) bool {
	return slices.ContainsFunc(c.profile.Types, func(want string) bool {
		return typed && want != "" && isMediaType(typ, want) || !typed && want == ""
	})
}

// isMediaType compares as RFC 7515 §4.1.9 says: without regard to case, "application/"
// being optional.
func isMediaType(value, want string) bool {
	value, want = subtype(value), subtype(want)
	return len(value) == len(want) && strings.EqualFold(value, want)
}

func subtype(media string) string {
	const prefix = "application/"
	if len(media) > len(prefix) && strings.EqualFold(media[:len(prefix)], prefix) {
		return media[len(prefix):]
	}
	return media
}

// verify checks the signature with the one key (RFC 7515 §5.2). The header has been checked.
func (k *key) verify(token, signature string, alg Algorithm) error {
	if base64.RawURLEncoding.DecodedLen(len(signature)) != signatureSize(k.public) {
		return errSignature
	}
	encoded := []byte(token)
	signed := encoded[:len(token)-len(signature)-1]
	n, err := base64.RawURLEncoding.Strict().Decode(encoded[len(signed)+1:], encoded[len(signed)+1:])
	if err != nil || verifiers[alg].Verify(k.public, signed, encoded[len(signed)+1:][:n]) != nil {
		return errSignature // the error of jwx may quote the token
	}
	return nil
}
