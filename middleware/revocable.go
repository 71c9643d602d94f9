package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/securews/securews/internal/bounded"
)

// WithRevocations returns a with its credentials revocable by list, for an Authenticator
// that has no revocations of its own: the handles and the subject of its principals are
// asked in every Authenticate and Alive. [NewAuth] reports an a or list that is nil.
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
	if inner, ok := a.Authenticator.(Revocable); ok {
		if err := inner.Alive(ctx, p); err != nil {
			return err
		}
	}
	return a.listed.Alive(ctx, p)
}

func (a *revocable) Follow(fn func(Revocation)) (stop func()) {
	stops := []func(){a.listed.Follow(fn)}
	if inner, ok := a.Authenticator.(Revocable); ok {
		stops = append(stops, inner.Follow(fn))
	}
	return stopAll(stops)
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

// validate returns what is wrong with the arguments of WithRevocations.
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
	anonymous // it authenticates no request
	list      Revocations
	calls     bounded.Caller
}

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
	ctx, cancel := context.WithTimeout(ctx, authTimeout)
	defer cancel()
	return bounded.Call(ctx, l.calls, "middleware: Revocations", func() (bool, error) { return l.list.Revoked(ctx, p) })
}

func (l *listed) Follow(fn func(Revocation)) (stop func()) { return l.list.Follow(fn) }

// sameRevocable reports whether x and y would be asked the same.
func sameRevocable(x, y Revocable) bool {
	a, ok := x.(*listed)
	b, also := y.(*listed)
	if ok && also {
		return same(a.list, b.list)
	}
	return same(x, y)
}

// mostAsked bounds what an Asker may lead to: a chain of values that cannot be compared may
// lead back to itself unseen.
const mostAsked = 64

// reach appends x, if it is Revocable, and all that x asks. An Auth stands for its
// authenticators, a revocable for its parts.
func reach(found []Revocable, x Authenticator) ([]Revocable, error) {
	var next []Revocable
	switch x := x.(type) {
	case *Auth:
		for _, y := range x.revocables {
			next = append(next, y.Revocable)
		}
	case *revocable:
		if err := x.validate(); err != nil {
			return nil, err
		}
		found, _ = reach(found, x.listed)
		return reach(found, x.Authenticator)
	case Revocable:
		if slices.ContainsFunc(found, func(y Revocable) bool { return sameRevocable(x, y) }) {
			return found, nil
		}
		found = append(found, x)
	}
	if asker, ok := x.(Asker); ok {
		next = append(next, asker.Asks()...)
	}
	for _, y := range next {
		if isNil(y) {
			return nil, errors.New("Asks: one is nil")
		}
		if len(found) > mostAsked {
			return nil, fmt.Errorf("Asks: more than %d: it must not lead back to itself", mostAsked)
		}
		var err error
		if found, err = reach(found, y); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// compile finds all that is asked about a principal of this Auth, each once.
func (a *Auth) compile() error {
	var errs []error
	asked := make([][]Revocable, len(a.list))
	from := []int{} // of each of a.revocables: the authenticator that leads to it
	for i := range a.list {
		var err error
		if asked[i], err = reach(nil, a.list[i].Authenticator); err != nil {
			errs = append(errs, fmt.Errorf("middleware: NewAuth: %T: %w", a.list[i].Authenticator, err))
		}
		for _, x := range asked[i] {
			if !slices.ContainsFunc(a.revocables, func(y revocableMember) bool { return sameRevocable(x, y.Revocable) }) {
				a.revocables, from = append(a.revocables, revocableMember{x, callerOf(x)}), append(from, i)
				a.direct = a.direct && boundsItself(x)
			}
		}
	}
	for i := range a.list {
		for n, x := range a.revocables {
			if from[n] != i && !slices.ContainsFunc(asked[i], func(y Revocable) bool { return sameRevocable(x.Revocable, y) }) {
				a.list[i].others = append(a.list[i].others, x)
			}
		}
	}
	return errors.Join(errs...)
}

// boundsItself is bounded.BoundsItself, but for the two that are as bounded as their parts.
func boundsItself(x Authenticator) bool {
	switch x := x.(type) {
	case *Auth:
		return x.direct
	case *revocable:
		return boundsItself(x.Authenticator) // listed bounds itself
	}
	return bounded.BoundsItself(x)
}

func callerOf(x Authenticator) bounded.Caller {
	if _, nested := x.(*Auth); nested || boundsItself(x) {
		return bounded.Caller{} // an Auth calls each of its own in a bounded way
	}
	return bounded.NewCaller(x)
}

type revocableMember struct {
	Revocable
	calls bounded.Caller
}

// alive asks each of list; the first error is returned: a Refusal, or a contained panic.
func alive(ctx context.Context, list []revocableMember, p Principal) error {
	for i := range list {
		if err := list[i].alive(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (x *revocableMember) alive(ctx context.Context, p Principal) (err error) {
	if x.calls.Direct() {
		err = x.ask(ctx, p)
	} else {
		err = x.askBounded(ctx, p)
	}
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Refusal](err); ok && f != nil {
		return f
	}
	if _, ok := errors.AsType[*bounded.PanicError](err); ok {
		return err
	}
	return Unavailable(err)
}

func (x *revocableMember) ask(ctx context.Context, p Principal) (err error) {
	defer bounded.Contain(&err)
	return x.Alive(ctx, p)
}

func (x *revocableMember) askBounded(ctx context.Context, p Principal) error {
	_, err := bounded.Call(ctx, x.calls, "middleware: Auth", func() (struct{}, error) {
		return struct{}{}, x.Alive(ctx, p)
	})
	return err
}

// Alive asks every [Revocable] of this Auth, those that its authenticators ask included,
// whether the credential behind p is still good. It takes at most 2 s for those that do not
// bound themselves. A nil Auth has none, and returns nil.
func (a *Auth) Alive(ctx context.Context, p Principal) error {
	if a == nil {
		return nil
	}
	if !a.direct {
		bound, cancel := context.WithTimeout(ctx, authTimeout)
		defer cancel()
		ctx = bound
	}
	return alive(ctx, a.revocables, p)
}

// Follow follows every [Revocable] of this Auth, see there.
func (a *Auth) Follow(fn func(Revocation)) (stop func()) {
	var stops []func()
	if a != nil {
		for _, x := range a.revocables {
			stops = append(stops, x.Follow(fn))
		}
	}
	return stopAll(stops)
}

func stopAll(stops []func()) func() {
	return func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
}

// CanRevoke reports whether any credential of this Auth can end before it expires.
func (a *Auth) CanRevoke() bool { return a != nil && len(a.revocables) > 0 }
