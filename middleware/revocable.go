package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/securews/securews/internal/bounded"
)

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
			return nil, errors.New("one of its Asks is nil")
		}
		if len(found) > mostAsked {
			return nil, fmt.Errorf("its Asks are more than %d: they must not lead back to itself", mostAsked)
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
			if !slices.ContainsFunc(a.revocables, func(y calledRevocable) bool { return sameRevocable(x, y.Revocable) }) {
				a.revocables, from = append(a.revocables, calledRevocable{x, callerOf(x)}), append(from, i)
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
	a.nothing = noCredentialFor(a)
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

// calledRevocable is a Revocable of an Auth, and how it is called.
type calledRevocable struct {
	Revocable
	calls bounded.Caller
}

// alive asks each of list, until one says that the credential has ended, those that bound themselves
// first. An error is a Refusal, or a contained panic.
func alive(ctx context.Context, list []calledRevocable, p Principal) (err error) {
	foreign := 0
	for i := range list {
		if !list[i].calls.Direct() {
			foreign++
		} else if err = firmer(err, list[i].alive(ctx, p)); saysEnded(err) {
			return err
		}
	}
	if foreign > 0 {
		err = firmer(err, aliveForeign(ctx, list, foreign, p))
	}
	return err
}

// aliveForeign asks those of list, n of them, that do not bound themselves. Several are asked at once:
// one that never answers takes no time from another.
func aliveForeign(ctx context.Context, list []calledRevocable, n int, p Principal) (err error) {
	if n == 1 {
		i := slices.IndexFunc(list, func(x calledRevocable) bool { return !x.calls.Direct() })
		return list[i].alive(ctx, p)
	}
	answers := make(chan error, n)
	for i := range list {
		if !list[i].calls.Direct() {
			go func() { answers <- list[i].alive(ctx, p) }()
		}
	}
	for range n {
		if err = firmer(err, <-answers); saysEnded(err) {
			break
		}
	}
	return err
}

// firmer returns the second of two answers if it says that the credential has ended, or if the first
// is nil: an answer that is missing hides no end that another source knows.
func firmer(first, second error) error {
	if first == nil || saysEnded(second) {
		return second
	}
	return first
}

// saysEnded reports whether err is the answer that a credential has ended.
func saysEnded(err error) bool {
	f, ok := errors.AsType[*Refusal](err)
	return ok && f != nil && (f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden)
}

func (x *calledRevocable) alive(ctx context.Context, p Principal) (err error) {
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

func (x *calledRevocable) ask(ctx context.Context, p Principal) (err error) {
	defer bounded.Contain(&err)
	return x.Alive(ctx, p)
}

func (x *calledRevocable) askBounded(ctx context.Context, p Principal) error {
	_, err := bounded.Call(ctx, x.calls, "middleware: Auth", func() (struct{}, error) {
		return struct{}{}, x.Alive(ctx, p)
	})
	return err
}

// Alive asks every [Revocable] of this Auth, those that its authenticators ask included,
// whether the credential behind p is still good, until one says that it has ended. If one does not
// answer and none says so, the answer is not known. It takes at most 2 s for those that do not
// bound themselves. A nil Auth has none, and returns nil.
func (a *Auth) Alive(ctx context.Context, p Principal) error {
	if a == nil {
		return nil
	}
	if !a.direct {
		bound, cancel := bounded.WithTimeout(ctx, authTimeout)
		defer cancel()
		ctx = bound
	}
	return alive(ctx, a.revocables, p)
}

// Follow follows every [Revocable] of this Auth, see there. If one panics, none is followed.
func (a *Auth) Follow(fn func(Revocation)) (stop func()) {
	var follows []func(func(Revocation)) func()
	if a != nil {
		for _, x := range a.revocables {
			follows = append(follows, x.Follow)
		}
	}
	return bounded.FollowAll(fn, follows...)
}

// CanRevoke reports whether any credential of this Auth can end before it expires.
func (a *Auth) CanRevoke() bool { return a != nil && len(a.revocables) > 0 }
