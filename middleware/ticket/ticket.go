package ticket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/middleware"
)

// Tickets issues tickets and redeems them. It is a [middleware.Authenticator], a
// [middleware.Challenger], a [middleware.Stripper] and a [middleware.Consumer], and safe for
// concurrent use. The zero value issues none and refuses all.
type Tickets struct {
	cfg Config
}

// New returns the Tickets of a Config, or reports everything that is wrong with it.
func New(cfg Config) (*Tickets, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	return &Tickets{cfg: cfg}, nil
}

func (t *Tickets) zero() bool { return t == nil || t.cfg.Store == nil }

func (t *Tickets) path() string {
	if t == nil {
		return ""
	}
	return t.cfg.Path
}

// Ambient is false: no browser sends a ticket unasked.
func (t *Tickets) Ambient() bool { return false }

// Challenge is the WWW-Authenticate of a handshake without a ticket. No browser asks its
// user for one.
func (t *Tickets) Challenge() string { return `Ticket realm="websocket"` }

var (
	errZero    = errors.New("the zero Tickets admits nobody")
	errPath    = errors.New("issued for another path")
	errOrigin  = errors.New("issued to another origin")
	errHolder  = errors.New("issued for a credential that is bound to a client certificate, and not of this connection")
	errLate    = errors.New("its time is over")
	errEnding  = errors.New("the credential ends within the second")
	errEnded   = errors.New("the credential it was issued for has ended")
	errRevoked = errors.New("the credential it was issued for is revoked")
)

// storeTimeout bounds what one request costs the Store, and one call of Revocations.
const storeTimeout = 2 * time.Second

// Authenticate redeems the request's ticket, once: it is taken from the store before
// anything is compared, so that a wrong use ends it, and what is refused before it comes to
// that is for [Tickets.Spend]. It returns
// [middleware.ErrNoCredential] where there is none, or a [middleware.Refusal]:
//
//   - 400 multiple_credentials: two tickets, or one both ways;
//   - 400 credential_malformed: one that cannot be read, that stands without a real
//     subprotocol beside it, or on a request that opens no WebSocket;
//   - 401 credential_invalid: unknown, used or late; issued to another origin, or for
//     another path; or for a credential that is bound to a client certificate (RFC 8705)
//     which is not that of the connection;
//   - 401 credential_expired, credential_revoked: the credential behind it is over;
//   - 503 unavailable with Retry-After: the store, or the revocations, cannot be asked.
//
// The principal is the one the ticket was issued for, with Method "ticket", its own method
// as the attribute [OriginalMethod], and the id of its connection.
func (t *Tickets) Authenticate(r *http.Request) (middleware.Principal, error) {
	_, f := find(r, t.path())
	if f == nil {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	if t.zero() {
		return middleware.Principal{}, refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, errZero)
	}
	rec, err := t.take(f)
	if err == nil {
		err = t.check(r, rec)
	}
	if err != nil {
		return middleware.Principal{}, err
	}
	return rec.redeemed(), nil
}

// Spend is [middleware.Consumer]'s: it takes the request's tickets from the store, at most
// two, as Authenticate does, and compares nothing.
func (t *Tickets) Spend(r *http.Request) {
	if _, f := find(r, t.path()); f != nil && !t.zero() {
		_, _ = t.burn(f)
	}
}

// burn takes what was found from the store and returns the last. The context is not the
// request's: that ends when the peer hangs up, and a ticket would survive its wrong use.
func (t *Tickets) burn(f *found) (value []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	for _, key := range f.keys {
		value, err = t.cfg.Store.Take(ctx, key)
	}
	return value, err
}

// take burns what was found and returns the record, if it was one ticket without a flaw.
func (t *Tickets) take(f *found) (*record, error) {
	value, err := t.burn(f)
	switch {
	case f.flaw == errSeveral:
		return nil, refuse(http.StatusBadRequest, middleware.ReasonMultipleCredentials, f.flaw)
	case f.flaw != nil:
		return nil, refuse(http.StatusBadRequest, middleware.ReasonCredentialMalformed, f.flaw)
	case errors.Is(err, ErrNotFound):
		return nil, refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, err)
	case err != nil:
		return nil, unavailable(err)
	}
	rec, err := decode(value)
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, err)
	}
	return rec, nil
}

// check holds the request against what the ticket was issued for.
func (t *Tickets) check(r *http.Request, rec *record) error {
	now := time.Now()
	ends := rec.Principal.Expires
	switch {
	case rec.Path != t.cfg.Path || rec.Path != r.URL.Path:
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, errPath)
	case !sameOrigin(r, rec.Origin):
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, errOrigin)
	case rec.redeemed().HeldBy(r) != nil:
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, errHolder)
	case !now.Before(rec.Expires):
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialInvalid, errLate)
	case !ends.IsZero() && !now.Before(ends):
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialExpired, errEnded)
	case t.cfg.Revocations == nil:
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	revoked, err := t.cfg.Revocations.Revoked(ctx, rec.redeemed())
	switch {
	case err != nil:
		return unavailable(fmt.Errorf("revocations: %w", err))
	case revoked:
		return refuse(http.StatusUnauthorized, middleware.ReasonCredentialRevoked, errRevoked)
	}
	return nil
}

// sameOrigin compares letter by letter: a browser writes its origin in one way only
// (RFC 6454 §6.2).
func sameOrigin(r *http.Request, origin string) bool {
	switch lines := r.Header["Origin"]; len(lines) {
	case 0:
		return origin == ""
	case 1:
		return origin != "" && lines[0] == origin
	}
	return false
}

func refuse(status int, reason middleware.Reason, cause error) error {
	return &middleware.Refusal{Status: status, Reason: reason, Err: fmt.Errorf("ticket: %w", cause)}
}

func unavailable(cause error) error {
	reason := middleware.ReasonUnavailable
	if errors.Is(cause, ErrFull) {
		reason = middleware.ReasonOverloaded
	}
	return &middleware.Refusal{
		Status: http.StatusServiceUnavailable, Reason: reason,
		Header: http.Header{"Retry-After": {"2"}}, Err: fmt.Errorf("ticket: %w", cause),
	}
}
