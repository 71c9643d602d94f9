package ticket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/recheckby"
	"github.com/securews/securews/middleware"
)

// Tickets issues tickets and consumes them. It is a [middleware.Revocable], a
// [middleware.Asker], a [middleware.Challenger], a [middleware.Stripper] and a
// [middleware.Consumer], and safe for concurrent use. The zero value issues none and
// refuses all.
type Tickets struct {
	boundsItself

	cfg   Config
	calls bounded.Caller // of the Store
}

// boundsItself says that Tickets bound their calls to the Store and to Config.Auth.
type boundsItself = bounded.Self

var _, _ = Tickets{}.boundsItself, (&MemoryStore{}).boundsItself // read by bounded.BoundsItself

// New returns the Tickets of a Config, or reports everything that is wrong with it.
func New(cfg Config) (*Tickets, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	return &Tickets{cfg: cfg, calls: bounded.NewCaller(cfg.Store)}, nil
}

func (t *Tickets) zero() bool { return t == nil || t.cfg.Store == nil }

func (t *Tickets) path() string {
	if t == nil {
		return ""
	}
	return t.cfg.Path
}

// Ambient is false: browsers never send a ticket automatically.
func (t *Tickets) Ambient() bool { return false }

// Challenge is the WWW-Authenticate of a handshake without a ticket. Browsers do not
// prompt for this scheme.
func (t *Tickets) Challenge() string { return `Ticket realm="websocket"` }

var (
	errZero   = errors.New("the zero Tickets refuses every request")
	errPath   = errors.New("issued for another path")
	errOrigin = errors.New("issued to another origin")
	errLate   = errors.New("its lifetime is over")
	errEnding = errors.New("the credential ends within the second")
	errEnded  = errors.New("the credential it was issued for has ended")
	errOwner  = errors.New("no authenticator of Config.Auth has principals of this issuer, so that nothing would end the connection: " +
		"the nodes of one service have the same authenticators, and the same session.Config.Issuer")
)

// timeout bounds the wait for the Store, and the one for Config.Auth, in one request.
const timeout = time.Second

// Authenticate accepts the request's ticket, once: it is consumed in the store before
// anything is compared, so that a ticket presented in an invalid request is also consumed.
// [Tickets.Consume] is for requests refused before authentication. Its error is
// [middleware.ErrNoCredential] without a ticket, otherwise a [middleware.Refusal]:
//
//   - 400 multiple_credentials: two tickets, or one both ways;
//   - 400 credential_malformed: one that cannot be read, that has no real subprotocol
//     beside it, or that is on a request other than a handshake;
//   - 401 credential_invalid: unknown, consumed or late; issued to another origin, or for
//     another path; for a credential that is bound to a client certificate (RFC 8705)
//     other than that of the connection; or for one that no authenticator of Config.Auth
//     owns ([middleware.Owner]), as if the nodes have different session.Config.Issuer;
//   - 401 credential_expired, credential_revoked, credential_outdated, 403 forbidden:
//     Config.Auth refuses the credential that it was issued for;
//   - 503 unavailable with Retry-After: the store or Config.Auth does not answer. If the
//     store panics, the error is not a Refusal, and the answer 500.
//
// The principal is the one the ticket was issued for, with Method "ticket", its own method
// as the attribute [OriginalMethod], and the id of its connection.
func (t *Tickets) Authenticate(r *http.Request) (middleware.Principal, error) {
	_, f := find(r, t.path())
	if f == nil {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	if t.zero() {
		return middleware.Principal{}, refuse(middleware.ReasonCredentialInvalid, errZero)
	}
	rec, err := t.recordOf(f)
	if err != nil {
		return middleware.Principal{}, err
	}
	p := rec.accepted()
	if err := t.check(r, rec, p); err != nil {
		return middleware.Principal{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	asking := recheckby.Collect(ctx)
	if err := t.cfg.Auth.Alive(asking, p); err != nil {
		return middleware.Principal{}, err
	}
	middleware.RecheckBy(ctx, asking.Earliest())
	p.SetRecheckBy(contextkey.Key(), asking.Earliest())
	return p, nil
}

// Consume is [middleware.Consumer]'s: it consumes the request's tickets in the store, at
// most two, as Authenticate does, and compares nothing.
func (t *Tickets) Consume(r *http.Request) {
	if _, f := find(r, t.path()); f != nil && !t.zero() {
		_, _ = t.consume(f)
	}
}

// consume consumes the tickets in the store and returns the record of the last. The context
// is not the request's: that ends when the peer disconnects, and the ticket would be good
// again.
func (t *Tickets) consume(f *found) ([]byte, error) {
	ctx, cancel := t.bounded(context.Background())
	defer cancel()
	return bounded.Call(ctx, t.calls, "store", func() (value []byte, err error) {
		for _, key := range f.keys {
			value, err = t.cfg.Store.Consume(ctx, key)
		}
		return value, err
	})
}

func (t *Tickets) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.calls.Direct() {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// recordOf consumes the tickets and returns the record, if there was one ticket without a flaw.
func (t *Tickets) recordOf(f *found) (*record, error) {
	value, err := t.consume(f)
	switch {
	case f.flaw == errSeveral:
		return nil, malformed(middleware.ReasonMultipleCredentials, f.flaw)
	case f.flaw != nil:
		return nil, malformed(middleware.ReasonCredentialMalformed, f.flaw)
	case errors.Is(err, ErrNotFound):
		return nil, refuse(middleware.ReasonCredentialInvalid, err)
	case err != nil:
		return nil, unavailable(err)
	}
	rec, err := decode(value)
	if err != nil {
		return nil, refuse(middleware.ReasonCredentialInvalid, err)
	}
	return rec, nil
}

// check compares the request with the one that the ticket was issued in.
func (t *Tickets) check(r *http.Request, rec *record, p middleware.Principal) error {
	now := time.Now()
	switch {
	case rec.Path != t.cfg.Path || rec.Path != r.URL.Path:
		return refuse(middleware.ReasonCredentialInvalid, errPath)
	case !sameOrigin(r, rec.Origin):
		return refuse(middleware.ReasonCredentialInvalid, errOrigin)
	}
	if err := p.HeldBy(r); err != nil {
		return refuse(middleware.ReasonCredentialInvalid, err)
	}
	switch {
	case !t.cfg.Auth.Owns(p):
		return refuse(middleware.ReasonCredentialInvalid, fmt.Errorf("issued for %q: %w", p.Issuer, errOwner))
	case !now.Before(rec.Expires):
		return refuse(middleware.ReasonCredentialInvalid, errLate)
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return refuse(middleware.ReasonCredentialExpired, errEnded)
	}
	return nil
}

// sameOrigin compares byte by byte: a browser writes its origin in one way only
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

// Alive reports whether the credential that the ticket was issued for is still good: see
// [middleware.Auth.Alive] of Config.Auth. It returns nil for a principal that is not of a
// ticket.
func (t *Tickets) Alive(ctx context.Context, p middleware.Principal) error {
	switch {
	case p.Method != method:
		return nil
	case t.zero():
		return refuse(middleware.ReasonCredentialInvalid, errZero)
	}
	return t.cfg.Auth.Alive(ctx, p)
}

// Follow follows Config.Auth: see [middleware.Auth.Follow].
func (t *Tickets) Follow(fn func(middleware.Revocation)) (stop func()) {
	if t.zero() {
		return func() {}
	}
	return t.cfg.Auth.Follow(fn)
}

// Asks returns Config.Auth: see [middleware.Asker].
func (t *Tickets) Asks() []middleware.Revocable {
	if t.zero() {
		return nil
	}
	return []middleware.Revocable{t.cfg.Auth}
}

func refuse(reason middleware.Reason, cause error) error {
	return middleware.Unauthorized(reason, fmt.Errorf("ticket: %w", cause))
}

func malformed(reason middleware.Reason, cause error) error {
	return &middleware.Refusal{Status: http.StatusBadRequest, Reason: reason, Err: fmt.Errorf("ticket: %w", cause)}
}

// unavailable is the answer if the store fails: 503, or 500 if it panicked.
func unavailable(cause error) error {
	err := fmt.Errorf("ticket: %w", cause)
	var panicked *bounded.PanicError
	switch {
	case errors.As(cause, &panicked):
		return err
	case errors.Is(cause, ErrFull):
		return &middleware.Refusal{
			Status: http.StatusServiceUnavailable, Reason: middleware.ReasonOverloaded,
			Header: http.Header{"Retry-After": {"2"}}, Err: err,
		}
	}
	return middleware.Unavailable(err)
}
