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

// Source makes the credential of one dial. A client never asks twice at a time. If
// renew is true the last one was refused or is about to expire, and a cached one will
// not do. An error is tried again after a back-off; a [*HandshakeError] counts as
// the server's answer, and [Permanent] ends Run. It must give up when ctx ends, which is
// after Timeouts.Dial at the latest: Run waits for it.
type Source func(ctx context.Context, renew bool) (Credential, error)

// Credential is what one handshake shows, exactly one of the ways a constructor below
// names. It is a secret: it prints as nothing.
type Credential struct {
	_ [0]func()

	// Expires is when a connection opened with it would end; a client reconnects
	// with a new one before, after seven to nine tenths of the time. Zero: it does
	// not end, or nobody knows.
	Expires time.Time

	// Renew, if set, is when to reconnect with a new one, less up to a fifth of the
	// time until then, so that what began together is not renewed together.
	Renew time.Time

	way    way
	secret *string // behind a pointer: fmt calls no String method of what is in an unexported field
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

// BearerToken is sent as `Authorization: Bearer` (RFC 6750): the way of native clients.
func BearerToken(token string) Credential { return Credential{way: wayHeader, secret: &token} }

// BearerSubprotocol is sent as a subprotocol, base64url, beside a real one, for
// servers that expect of everybody what browsers can send.
func BearerSubprotocol(token string) Credential {
	return Credential{way: wayBearerSubprotocol, secret: &token}
}

// SingleUse is a ticket sent as the subprotocol `ticket.<t>` beside a real one.
func SingleUse(ticket string) Credential {
	return Credential{way: wayTicketSubprotocol, secret: &ticket}
}

// SingleUseQuery is a ticket sent as `?ticket=`. Whatever logs URLs on the way sees
// it; that it is good only once makes it the one secret that may stand there.
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
	errNoSubprotocol = errors.New("redial: a credential sent as a subprotocol stands beside a real one, and Subprotocols is empty")
	errNotSendable   = errors.New("redial: the credential is empty or holds bytes that its place does not allow")
)

// handshake is what one dial sends.
type handshake struct {
	url          string
	header       http.Header
	subprotocols []string // the real ones first: a server that takes the first takes one of them
	secrets      secrets
}

// add puts the credential in its place.
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

// isToken68 follows RFC 9110 §11.2, with = anywhere.
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
