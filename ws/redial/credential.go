package redial

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/securews/securews/internal/opening"
)

// Source returns the credential of one dial. A client never calls it concurrently. If
// renew is true, the last credential was refused or is about to expire, and a cached one
// must not be returned. After an error it is called again after a back-off; a
// [*HandshakeError] counts as the server's answer, and [Permanent] ends Run. It must return
// when ctx ends, after Timeouts.Dial at the latest: Run waits for it.
type Source func(ctx context.Context, renew bool) (Credential, error)

// Credential is the credential of one handshake, made by one of the constructors below. It
// is secret: fmt and log/slog print only its type.
type Credential struct {
	_ [0]func()

	// Expires is when a connection opened with it would end. A client reconnects with a
	// new credential before, after seven to nine tenths of the time. Zero: never, or
	// unknown.
	Expires time.Time

	// Renew, if set, is when to reconnect with a new credential, less up to a fifth of the
	// time until then, so that clients that started together spread out.
	Renew time.Time

	way    way
	secret *string // behind a pointer: fmt calls no String method of a value in an unexported field
}

type way int

const (
	wayNone way = iota
	wayHeader
	wayBearerSubprotocol
	wayTicketSubprotocol
	wayTicketQuery
)

const (
	ticketPrefix = "ticket."
	bearerPrefix = "base64url.bearer.authorization."
)

// BearerToken returns a Credential that is sent as `Authorization: Bearer` (RFC 6750), the
// usual one of native clients.
func BearerToken(token string) Credential { return Credential{way: wayHeader, secret: &token} }

// BearerSubprotocol returns a Credential that is sent in base64url as a subprotocol beside
// a real one, for servers that expect tokens in the form that browsers can send.
func BearerSubprotocol(token string) Credential {
	return Credential{way: wayBearerSubprotocol, secret: &token}
}

// SingleUse returns a Credential for a ticket, which is sent as the subprotocol
// `ticket.<t>` beside a real one.
func SingleUse(ticket string) Credential {
	return Credential{way: wayTicketSubprotocol, secret: &ticket}
}

// SingleUseQuery returns a Credential for a ticket, which is sent as `?ticket=`. Proxies
// that log URLs log it too; this is acceptable only because it is consumed by its first
// use.
func SingleUseQuery(ticket string) Credential {
	return Credential{way: wayTicketQuery, secret: &ticket}
}

// String hides the secret.
func (Credential) String() string { return "redial.Credential" }

// GoString hides the secret.
func (Credential) GoString() string { return "redial.Credential" }

// LogValue hides the secret.
func (Credential) LogValue() slog.Value { return slog.StringValue("redial.Credential") }

var (
	errNoSubprotocol = errors.New("redial: a credential sent as a subprotocol requires a real one beside it, and Subprotocols is empty")
	errNotSendable   = errors.New("redial: the credential is empty or contains bytes that cannot be sent in its place")
)

// handshake is the request of one dial.
type handshake struct {
	url          string
	header       http.Header
	subprotocols []string // the real ones first, for servers that select the first
	secrets      secrets
}

// add adds the credential to the request.
func (hs *handshake) add(c Credential) error {
	if c.way == wayNone {
		return nil
	}
	if !isToken68(*c.secret) {
		return Permanent(errNotSendable)
	}
	escaped := url.QueryEscape(*c.secret)
	encoded := base64.RawURLEncoding.EncodeToString([]byte(*c.secret))
	hs.secrets.add(*c.secret, escaped, encoded)
	subprotocol := ""
	switch c.way {
	case wayHeader:
		hs.header.Set("Authorization", "Bearer "+*c.secret)
	case wayTicketQuery:
		u, err := url.Parse(hs.url)
		if err != nil {
			return err
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += "ticket=" + escaped
		hs.url = u.String()
	case wayTicketSubprotocol:
		subprotocol = ticketPrefix + *c.secret
	case wayBearerSubprotocol:
		subprotocol = bearerPrefix + "securews." + encoded
	}
	if subprotocol == "" {
		return nil
	}
	if len(hs.subprotocols) == 0 {
		return Permanent(errNoSubprotocol)
	}
	if !opening.IsToken(subprotocol) {
		return Permanent(errNotSendable)
	}
	hs.subprotocols = append(hs.subprotocols[:len(hs.subprotocols):len(hs.subprotocols)], subprotocol)
	return nil
}

// isToken68 reports whether s is a token68 (RFC 9110 §11.2), with = allowed anywhere.
func isToken68(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return s != ""
}
