package middleware

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// ClaimKey names a claim of type T, which is decoded as encoding/json does:
//
//	const verified = middleware.ClaimKey[bool]("email_verified")
//
// If T has a struct, the name of a member must be that of the field or of its json tag, in the same
// letter case. The authenticator must have kept the claim, see bearer.Config.Claims.
type ClaimKey[T any] string

// Of returns the claim; false if the credential does not have it, or if it is null. It is an
// error if the claim is not in [Principal.Claims], or does not fit T: a string does
// not count as a list, even if it looks like one, and a member ADMIN is not the field admin.
func (k ClaimKey[T]) Of(p Principal) (value T, ok bool, err error) {
	text, kept := p.Claims[string(k)]
	switch {
	case !kept:
		return value, false, fmt.Errorf("middleware: claim %q is not in the principal: name it in bearer.Config.Claims", string(k))
	case text == "null":
		return value, false, nil
	}
	err = json.Unmarshal([]byte(text), &value)
	if err == nil {
		err = exactNames([]byte(text), reflect.TypeFor[T]())
	}
	if err != nil {
		var zero T
		return zero, false, fmt.Errorf("middleware: claim %q: %w", string(k), err)
	}
	return value, true, nil
}
