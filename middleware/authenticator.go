package middleware

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/securews/securews/internal/bounded"
)

// ErrNoCredential is the error of an [Authenticator] for a request that carries none of
// its credentials: the next Authenticator is asked. Any other error refuses the request.
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
	// with 500.
	Authenticate(r *http.Request) (Principal, error)

	// Ambient reports whether browsers send the credential automatically, as they do
	// with cookies and client certificates. Such a credential is accepted only together
	// with an Origin.
	Ambient() bool
}

// Revocable is an [Authenticator] whose credentials can end before they expire. An [Auth]
// asks and follows it, and package live ends what such a credential opened: there is no
// field that connects them.
type Revocable interface {
	Authenticator

	// Alive reports whether the credential behind p is still good. It returns nil if it
	// is, or if p is not of a kind that this Authenticator knows; [Unauthorized] if the
	// credential has ended, [Forbidden] if the principal may no longer do what it does.
	// Any other error means that the answer is not known.
	Alive(ctx context.Context, p Principal) error

	// Follow calls fn with every later revocation that this process learns of, until
	// stop is called. Calls may be concurrent; fn does not block. Follow returns at once,
	// without input or output.
	Follow(fn func(Revocation)) (stop func())
}

// Asker is an [Authenticator] that asks others about its principals by itself, as a ticket
// asks what it was issued for. An [Auth] does not ask those a second time.
type Asker interface {
	Asks() []Revocable
}

// Challenger is an [Authenticator] that names its scheme in WWW-Authenticate
// (RFC 9110 §11.6.1).
type Challenger interface {
	Challenge() string // for example `Bearer realm="api"`
}

// Stripper is an [Authenticator] whose credential may stand where other code would see it:
// in a subprotocol, or in the query of a handshake.
type Stripper interface {
	// Stripped returns the request without the credential in its header and URL, such
	// that Authenticate still finds it; r itself if there is none. It does not change r,
	// and decides nothing.
	Stripped(r *http.Request) *http.Request
}

// Consumer is an [Authenticator] whose credential is good once. A ticket presented in an
// invalid request is also consumed.
type Consumer interface {
	// Consume consumes the credentials of this kind in a request that is refused before
	// authentication. It costs a request without any nothing, takes no longer than
	// Authenticate, and has no result: the request is refused anyway.
	Consume(r *http.Request)
}

// Anonymous admits requests without any credential, as a principal whose Method is
// "anonymous" and whose Subject is empty. Limits per principal do not apply to it.
func Anonymous() Authenticator { return anonymous{} }

type anonymous struct{ bounded.Self }

func (anonymous) Ambient() bool { return false }

func (anonymous) Authenticate(*http.Request) (Principal, error) {
	return Principal{Method: "anonymous"}, nil
}

// WithRevocations returns a with its credentials revocable by list, for an Authenticator
// that has no revocations of its own: the handles and the subject of its principals are
// asked in every Authenticate and Alive.
func WithRevocations(a Authenticator, list Revocations) Revocable {
	return &revocable{Authenticator: a, list: list, asking: bounded.NewCaller(list)}
}

type revocable struct {
	Authenticator
	list   Revocations
	asking bounded.Caller
}

var errRevoked = errors.New("middleware: the credential is revoked")

func (a *revocable) Authenticate(r *http.Request) (Principal, error) {
	p, err := a.Authenticator.Authenticate(r)
	if err == nil {
		err = a.revoked(r.Context(), p)
	}
	return p, err
}

// Alive asks the Authenticator too, if that is Revocable itself.
func (a *revocable) Alive(ctx context.Context, p Principal) error {
	if inner, ok := a.Authenticator.(Revocable); ok {
		if err := inner.Alive(ctx, p); err != nil {
			return err
		}
	}
	return a.revoked(ctx, p)
}

func (a *revocable) revoked(ctx context.Context, p Principal) error {
	revoked, err := bounded.Call(ctx, a.asking, "middleware: revocations", func() (bool, error) {
		return a.list.Revoked(ctx, p)
	})
	switch {
	case err != nil:
		return Unavailable(err)
	case revoked:
		return Unauthorized(ReasonCredentialRevoked, errRevoked)
	}
	return nil
}

func (a *revocable) Follow(fn func(Revocation)) (stop func()) {
	stop = a.list.Follow(fn)
	inner, ok := a.Authenticator.(Revocable)
	if !ok {
		return stop
	}
	stopInner := inner.Follow(fn)
	return func() { stop(); stopInner() }
}

func (a *revocable) Challenge() string {
	if c, ok := a.Authenticator.(Challenger); ok {
		return c.Challenge()
	}
	return ""
}

func (a *revocable) Stripped(r *http.Request) *http.Request {
	if s, ok := a.Authenticator.(Stripper); ok {
		return s.Stripped(r)
	}
	return r
}

func (a *revocable) Consume(r *http.Request) {
	if c, ok := a.Authenticator.(Consumer); ok {
		c.Consume(r)
	}
}

func isNil(x Authenticator) bool {
	if x == nil {
		return true
	}
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// same compares without the panic of two values that cannot be compared.
func same(x, y any) bool {
	return reflect.TypeOf(x).Comparable() && reflect.ValueOf(x).Comparable() && x == y
}
