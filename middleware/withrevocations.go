package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/securews/securews/internal/bounded"
)

// WithRevocations returns a with its credentials revocable by list, for an Authenticator
// that has no revocations of its own: the handles and the subject of its principals are
// asked in every Authenticate and Alive. IssuedAt is compared with a cut-off without a
// leeway, since only a knows whose clock it is of: a credential is revoked if it was issued
// before the cut-off, however little. A logout is a Revoke of the SessionHandle; the example
// keeps scs.SessionManager. [NewAuth] reports an a or list that is nil.
func WithRevocations(a Authenticator, list Revocations) Revocable {
	return &revocable{Authenticator: a, listed: &listed{list: list, calls: bounded.NewCaller(list)}}
}

type revocable struct {
	Authenticator
	listed *listed
}

func (a *revocable) Authenticate(r *http.Request) (Principal, error) {
	p, err := a.Authenticator.Authenticate(r)
	if err != nil {
		return Principal{}, err
	}
	return p, a.listed.Alive(r.Context(), p)
}

// Alive asks the Authenticator too, if that is Revocable itself.
func (a *revocable) Alive(ctx context.Context, p Principal) error {
	err := a.listed.Alive(ctx, p)
	if inner, ok := a.Authenticator.(Revocable); ok && !saysEnded(err) {
		err = firmer(err, inner.Alive(ctx, p))
	}
	return err
}

func (a *revocable) Follow(fn func(Revocation)) (stop func()) {
	if inner, ok := a.Authenticator.(Revocable); ok {
		return bounded.FollowAll(fn, a.listed.Follow, inner.Follow)
	}
	return a.listed.Follow(fn)
}

func (a *revocable) Owns(p Principal) bool { return owns(a.Authenticator, p) }

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

// validate returns the fault of the arguments of WithRevocations.
func (a *revocable) validate() error {
	_, anon := a.Authenticator.(anonymous)
	switch {
	case isNil(a.Authenticator):
		return errors.New("WithRevocations: the Authenticator is nil")
	case isNil(a.listed.list):
		return errors.New("WithRevocations: the Revocations are nil: write NewRevocations()")
	case anon:
		return errors.New("WithRevocations: Anonymous() has no credential to revoke: give it without")
	}
	return nil
}

// listed is the list of a revocable as a Revocable of its own: several authenticators may
// share one list, which is then asked once.
type listed struct {
	bounded.Self
	list  Revocations
	calls bounded.Caller
}

// Authenticate finds no credential: a list recognizes none.
func (*listed) Authenticate(*http.Request) (Principal, error) { return Principal{}, ErrNoCredential }

func (*listed) Ambient() bool { return false }

var errRevoked = errors.New("middleware: the credential is revoked")

func (l *listed) Alive(ctx context.Context, p Principal) (err error) {
	var revoked bool
	if l.calls.Direct() {
		revoked, err = l.ask(ctx, p)
	} else {
		revoked, err = l.askBounded(ctx, p)
	}
	_, panicked := errors.AsType[*bounded.PanicError](err)
	switch {
	case panicked:
		return err
	case err != nil:
		return Unavailable(err)
	case revoked:
		return Unauthorized(ReasonCredentialRevoked, errRevoked)
	}
	return nil
}

func (l *listed) ask(ctx context.Context, p Principal) (revoked bool, err error) {
	defer bounded.Contain(&err)
	return l.list.Revoked(ctx, p)
}

func (l *listed) askBounded(ctx context.Context, p Principal) (revoked bool, err error) {
	ctx, cancel := bounded.WithTimeout(ctx, authTimeout)
	defer cancel()
	return bounded.Call(ctx, l.calls, "middleware: Revocations", func() (bool, error) { return l.list.Revoked(ctx, p) })
}

func (l *listed) Follow(fn func(Revocation)) (stop func()) { return l.list.Follow(fn) }
