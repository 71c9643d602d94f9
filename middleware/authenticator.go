package middleware

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/nilvalue"
	"github.com/securews/securews/internal/recheckby"
)

// ErrNoCredential is the error of an [Authenticator] for a request that carries none of
// its credentials: the next Authenticator is asked. Any other error refuses the request.
// An error that wraps it may say more, for the log.
var ErrNoCredential = errors.New("middleware: no credential")

// Authenticator recognizes one kind of credential.
//
// Implementations are safe for concurrent use. They verify on every call: an answer may be
// cached, but revocation and expiry may not. A call that takes longer than 2 s is given up,
// and the request is refused with 503. A panic refuses it with 500.
type Authenticator interface {
	// Authenticate returns the principal of the request's credential. Its error is
	// [ErrNoCredential] if the request carries none of this kind, otherwise a [Refusal]:
	// see [Unauthorized], [Forbidden] and [Unavailable]. Any other error is answered
	// with 500. It does not change r.
	Authenticate(r *http.Request) (Principal, error)

	// Ambient reports whether browsers send the credential automatically, as they do
	// with cookies and client certificates. Such a credential is accepted only together
	// with an Origin. It is constant.
	Ambient() bool
}

// Revocable is an [Authenticator] whose credentials can end before they expire. An [Auth]
// asks and follows it, and package live ends the connections and streams that such a credential
// opened: no field connects them. It asks each of its Revocables about each principal, those
// of the others too, so that one which never admits a request may forbid users or devices.
//
// A line such as the following keeps a misspelt method from making it an Authenticator only, whose
// credentials nothing ends; [Auth.CanRevoke] tells, too.
//
//	var _ middleware.Revocable = (*Authenticator)(nil)
type Revocable interface {
	Authenticator

	// Alive reports whether the credential behind p is still good. It returns nil if it
	// is, or if p is not of a kind that this Authenticator knows; [Unauthorized] if the
	// credential has ended, [Forbidden] if the principal may not continue.
	// Any other error means that the answer is not known. If the credential ends when it is not
	// used, Alive calls [RecheckBy] with that time.
	Alive(ctx context.Context, p Principal) error

	// Follow calls fn with every later revocation that this process learns of, until
	// stop is called. Calls may be concurrent. fn may ask Alive and wait up to a second for
	// the answer, so no lock that Alive needs is held while fn runs. Follow itself returns
	// at once, without input or output.
	Follow(fn func(Revocation)) (stop func())
}

// RecheckBy says, in an Alive or Authenticate and with the context of that call, that the credential
// may end at t without a revocation. Its connections and streams ask Alive again by then, which must
// refuse if it has ended; they ask at the earliest half a second later, and less and less often about a
// time that has passed. The earliest time of a call counts, and the zero time is none. Without it
// they ask at the intervals of live.Timeouts.Recheck.
func RecheckBy(ctx context.Context, t time.Time) { recheckby.Report(ctx, t) }

// Asker is an [Authenticator] that asks others about its principals by itself, as a ticket
// asks the Auth of the request that it was issued in. An [Auth] does not ask those a second time.
type Asker interface {
	// Asks returns those that Authenticate and Alive ask. It is constant, and no chain of
	// Asks leads back to the Asker.
	Asks() []Revocable
}

// Challenger is an [Authenticator] that names its scheme in WWW-Authenticate
// (RFC 9110 §11.6.1).
type Challenger interface {
	Challenge() string // constant; for example `Bearer realm="api"`
}

// Stripper is an [Authenticator] whose credential may stand where other code would see it:
// in a subprotocol, or in the query of a handshake.
type Stripper interface {
	// Stripped returns the request without the credential in its header and URL, such
	// that Authenticate still finds it; r itself if there is none. It does not change r,
	// decides nothing, and returns at once.
	Stripped(r *http.Request) *http.Request
}

// Consumer is an [Authenticator] whose credential is good once. A ticket presented in an
// invalid request is also consumed.
type Consumer interface {
	// Consume consumes the credentials of this kind in a request that is refused before
	// authentication. For a request without any it costs nothing. It is given up after
	// 2 s, as Authenticate is. It has no result: the request is refused anyway.
	Consume(r *http.Request)
}

// Exclusive is an [Authenticator] that refuses every credential of its kind that is not its
// own, so that a second one of the kind beside it would have its credentials refused.
type Exclusive interface {
	// Exclusive returns the name of the function that combines several of the kind, for
	// the error of [NewAuth]. It is constant, and the same for all of the kind.
	Exclusive() string
}

// Owner is an [Authenticator] that can tell its own principals from those of others. A ticket whose
// principal is not of any authenticator of ticket.Config.Auth is refused, since nothing would end
// its connection; an authenticator that is not an Owner may have any principal. One that embeds an
// authenticator of this module, and returns principals with another Issuer or other handles, needs
// an Owns of its own.
type Owner interface {
	// Owns reports whether an Alive of this kind answers about p. It returns at once.
	Owns(p Principal) bool
}

// Anonymous admits requests without any credential, as a principal whose Method is
// "anonymous" and whose Subject is empty. Limits per principal do not apply to it.
func Anonymous() Authenticator { return anonymous{} }

type anonymous struct{ bounded.Self }

func (anonymous) Ambient() bool { return false }

func (anonymous) Authenticate(*http.Request) (Principal, error) {
	return Principal{Method: "anonymous"}, nil
}

// isNil reports whether x has no methods that can be called.
func isNil(x any) bool { return x == nil || nilvalue.In(x) }

// same compares without the panic of two values that cannot be compared.
func same(x, y any) bool {
	return x != nil && reflect.TypeOf(x).Comparable() && reflect.ValueOf(x).Comparable() && x == y
}
