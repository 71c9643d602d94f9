package bearer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

var (
	errInactive    = errors.New("the issuer says that the token is not active")
	errUnsupported = errors.New("the issuer does not introspect tokens of this type; a JWT is for New, " +
		"beside an Introspector for NewIssuers")
	errOutdated = errors.New("scopes, roles or claims of the token have changed")
	errPrefix   = errors.New("sub begins with IntrospectionConfig.ClientPrefix, which is for clients")
)

// read parses the body of an answer. Its error means that the endpoint does not
// follow RFC 7662.
func (i *Introspector) read(body []byte, token string, asOf time.Time) (*answer, error) {
	members, err := object(body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	switch active := find(members, "active"); string(active) {
	case "true":
	case "false":
		return &answer{asOf: asOf, refused: errInactive}, nil
	default:
		return nil, fmt.Errorf("answer: active is %.20q; want true or false", active)
	}
	members = slices.DeleteFunc(members, func(m member) bool { return string(m.value) == "null" })
	v, err := i.verified(members, token, asOf)
	if err != nil {
		return &answer{asOf: asOf, refused: withoutToken(err, token)}, nil
	}
	v.principal.SealedToken = i.sealer.seal(token, &v.principal)
	return &answer{verified: v, asOf: asOf}, nil
}

// verified applies the rules to the claims of an active token.
func (i *Introspector) verified(members []member, token string, asOf time.Time) (*verified, error) {
	got, err := i.rules.claims(members)
	if err != nil {
		return nil, err
	}
	if err := i.isAccess(members); err != nil {
		return nil, err
	}
	switch {
	case got.sub == "" && got.clientID != "" && i.prefix != "":
		got.sub = i.prefix + got.clientID
	case got.sub == "":
		return nil, fmt.Errorf("%w: sub; a token that a client got for itself has none; see IntrospectionConfig.ClientPrefix", errMissing)
	case i.prefix != "" && strings.HasPrefix(got.sub, i.prefix):
		return nil, errPrefix
	case got.aud == nil && len(i.rules.clients) == 0:
		return nil, fmt.Errorf("%w: aud; see IntrospectionConfig.Clients", errMissing)
	}
	if find(members, "iss") == nil {
		got.iss = i.rules.issuer.name
	}
	if last := asOf.Add(i.rules.maxLifetime); !got.hasExp || got.exp.After(last) {
		got.exp, got.hasExp = last, true
	}
	return i.rules.accept(&got, members, TokenHandleOf(token), asOf)
}

// isAccess tells an access token from other tokens, which an endpoint may also answer about.
func (i *Introspector) isAccess(members []member) error {
	// RFC 6749 §7.1; some write the kind in its place, as Duende IdentityServer does
	for _, is := range [...]struct{ name, want, or string }{
		{"token_type", "bearer", "access_token"},
		{"token_use", "access_token", "access"},
	} {
		value := find(members, is.name)
		if s, _ := text(value); value != nil && !strings.EqualFold(s, is.want) && !strings.EqualFold(s, is.or) {
			return fmt.Errorf("%w: %s is %.40q; want %s", errKind, is.name, value, is.want)
		}
	}
	if find(members, "token_type") == nil && len(i.rules.profile.Require)+len(i.rules.profile.Forbid) == 0 {
		return fmt.Errorf("%w: it may be a refresh token, because there is no token_type; see %s", errKind, i.rules.setting)
	}
	return nil
}

// withoutToken returns err. If its text has a part of the token, which an endpoint may write into
// any member, it returns an error with a fixed text that wraps err.
func withoutToken(err error, token string) error {
	if err != nil && shows(err.Error(), token) {
		return hidden{err}
	}
	return err
}

// shownPart is how long a part of a token is, by which it is found in a text.
const shownPart = 12

// shows reports whether the text has the beginning of the token, or a part of it that no encoder
// changes: JSON has many spellings of +, / and =, and a form has others.
func shows(text, token string) bool {
	if strings.Contains(text, token[:min(len(token), shownPart)]) {
		return true
	}
	for part := range strings.FieldsFuncSeq(token, func(r rune) bool { return strings.ContainsRune("+/=", r) }) {
		for ; len(part) >= shownPart; part = part[1:] {
			if strings.Contains(text, part[:shownPart]) {
				return true
			}
		}
	}
	return false
}

// hidden is an error whose text may have a token.
type hidden struct{ error }

func (hidden) Error() string { return "the cause is not shown, because it has a part of the token" }

func (h hidden) Unwrap() error { return h.error }
