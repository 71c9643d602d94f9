package redial

import (
	"context"
	"log/slog"
	"time"
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

// TicketSubprotocol returns a Credential for a ticket, which is sent as the subprotocol
// `ticket.<t>` beside a real one.
func TicketSubprotocol(ticket string) Credential {
	return Credential{way: wayTicketSubprotocol, secret: &ticket}
}

// TicketQuery returns a Credential for a ticket, which is sent as `?ticket=`. Proxies
// that log URLs log it too; this is acceptable only because it is consumed by its first
// use.
func TicketQuery(ticket string) Credential {
	return Credential{way: wayTicketQuery, secret: &ticket}
}

// String hides the secret.
func (Credential) String() string { return "redial.Credential" }

// GoString hides the secret.
func (Credential) GoString() string { return "redial.Credential" }

// LogValue hides the secret.
func (Credential) LogValue() slog.Value { return slog.StringValue("redial.Credential") }

// noCredential is the failure of a Source: the next call must ask for the same again.
type noCredential struct{ error }

func (n *noCredential) Unwrap() error { return n.error }
