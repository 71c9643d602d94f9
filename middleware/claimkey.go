package middleware

import (
	"encoding/json"
	"fmt"
)

// ClaimKey names a claim of type T, which is decoded as encoding/json does:
//
//	const verified = middleware.ClaimKey[bool]("email_verified")
//
// The authenticator must have kept the claim, see bearer.Config.Claims.
type ClaimKey[T any] string

// Of returns the claim; false if the credential does not have it, or if it is null. It is an
// error if the claim is not in [Principal.Claims], or does not fit T: a string does
// not count as a list, even if it looks like one.
func (k ClaimKey[T]) Of(p Principal) (value T, ok bool, err error) {
	text, kept := p.Claims[string(k)]
	switch {
	case !kept:
		return value, false, fmt.Errorf("middleware: claim %q is not in the principal: name it in bearer.Config.Claims", string(k))
	case text == "null":
		return value, false, nil
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		var zero T
		return zero, false, fmt.Errorf("middleware: claim %q: %w", string(k), err)
	}
	return value, true, nil
}
