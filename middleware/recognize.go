package middleware

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/internal/method"
	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/internal/recheckby"
)

// authTimeout bounds what authenticators that do not bound themselves cost a request, in all.
const authTimeout = 2 * time.Second

// calledAuthenticator is an authenticator of an Auth, and how it is called.
type calledAuthenticator struct {
	Authenticator
	calls   bounded.Caller
	ambient bool
	nested  bool              // an Auth, which demands the Origin itself
	others  []calledRevocable // asked about its principals, beside itself
}

// recognize asks each authenticator for its credential, and the others about the principal.
// An authenticator that panics or does not answer ends the search: whether the request
// carries a credential of its kind is not known.
func (a *Auth) recognize(r *http.Request) (Principal, error) {
	found := -1
	var principal Principal
	var failure error
	nothing := a.nothing
	for i := range a.list {
		p, err := a.list[i].authenticate(r)
		if errors.Is(err, ErrNoCredential) {
			if _, nested := err.(*Refusal); nothing == a.nothing && err != ErrNoCredential && !nested {
				nothing = err // the first that says more
			}
			continue
		}
		if undecided(r, err) {
			a.consume(r, a.list[i+1:]) // the ones before have been asked
			return Principal{}, err
		}
		if found >= 0 {
			a.consume(r, a.list[i+1:])
			return Principal{}, &Refusal{
				Status: http.StatusBadRequest, Reason: ReasonMultipleCredentials,
				Err: fmt.Errorf("middleware: Auth: credentials for both %T and %T", a.list[found].Authenticator, a.list[i].Authenticator),
			}
		}
		found, principal, failure = i, p, err
	}
	switch {
	case failure != nil:
		return Principal{}, failure
	case found < 0 && a.anonymous:
		return Anonymous().Authenticate(r)
	case found < 0:
		return Principal{}, Unauthorized(ReasonNoCredential, nothing)
	case a.list[found].ambient && !a.list[found].nested && r.Header.Get("Origin") == "" &&
		(opening.IsHandshake(r) || !method.IsSafe(r.Method)):
		return Principal{}, &Refusal{Status: http.StatusForbidden, Reason: ReasonOriginMissing, Err: errAmbient}
	}
	return principal, alive(r.Context(), a.list[found].others, principal)
}

// recognizeBounded is recognize within authTimeout. An authenticator that asks others whether its
// credential is alive need not know when they are to be asked again.
func (a *Auth) recognizeBounded(r *http.Request) (Principal, error) {
	ctx, cancel := bounded.WithTimeout(r.Context(), authTimeout)
	defer cancel()
	asking := recheckby.Collect(ctx)
	p, err := a.recognize(r.WithContext(asking))
	recheckby.Report(asking, p.RecheckBy())
	p.SetRecheckBy(contextkey.Key(), asking.Earliest())
	return p, err
}

// noCredentialFor names the authenticators: the one that the client has a credential for may be
// missing from the list.
func noCredentialFor(a *Auth) error {
	var names []string
	for _, x := range parts(nil, a) {
		names = append(names, fmt.Sprintf("%T", x))
	}
	return fmt.Errorf("%w: NewAuth has %s", ErrNoCredential, strings.Join(names, ", "))
}

var errAmbient = errors.New("middleware: Auth: a credential that browsers send automatically came without an Origin")

func undecided(r *http.Request, err error) bool {
	if err == nil {
		return false
	}
	_, panicked := errors.AsType[*bounded.PanicError](err)
	return panicked || r.Context().Err() != nil
}

func (m *calledAuthenticator) authenticate(r *http.Request) (Principal, error) {
	if m.calls.Direct() {
		return m.ask(r)
	}
	return m.askBounded(r)
}

func (m *calledAuthenticator) ask(r *http.Request) (p Principal, err error) {
	defer bounded.Contain(&err)
	return m.Authenticator.Authenticate(r)
}

// askBounded gives the authenticator a header of its own, which it may still read after the
// request has ended.
func (m *calledAuthenticator) askBounded(r *http.Request) (Principal, error) {
	own := r.WithContext(r.Context())
	own.Header = maps.Clone(r.Header)
	p, err := bounded.Call(r.Context(), m.calls, "middleware: Auth", func() (Principal, error) {
		return m.Authenticator.Authenticate(own)
	})
	switch {
	case err == nil:
	case errors.Unwrap(err) == ErrNoCredential:
		err = ErrNoCredential // it says no more
	case r.Context().Err() != nil && !errors.Is(err, ErrNoCredential):
		err = Unavailable(err) // the implementation did not answer in time
	}
	return p, err
}

// Consume consumes the single-use credentials of a request that is refused for another
// reason, see [Consumer], unless this Auth has vouched for the request. It is for handlers
// that refuse a request as invalid before they call [Auth.Admit], which consumes by itself;
// a valid request that comes at the wrong time keeps its credential. It takes at most 2 s
// in all. Beyond 256 calls at once it does nothing.
func (a *Auth) Consume(r *http.Request) {
	if a.zero() || a.earlier(r) != nil {
		return
	}
	a.consume(r, a.list)
}

func (a *Auth) consume(r *http.Request, list []calledAuthenticator) {
	if !consumes(list) {
		return
	}
	ctx, cancel := context.WithTimeout(lasting{context.Background(), r.Context()}, authTimeout)
	defer cancel()
	a.consumeEach(r.WithContext(ctx), list)
}

func consumes(list []calledAuthenticator) bool {
	for i := range list {
		if _, ok := list[i].Authenticator.(Consumer); ok {
			return true
		}
	}
	return false
}

// lasting has the values of a request's context, but not its end: the credential of a client
// that has left is consumed, too.
type lasting struct {
	context.Context
	values context.Context
}

func (l lasting) Value(key any) any { return l.values.Value(key) }

func (a *Auth) consumeEach(r *http.Request, list []calledAuthenticator) {
	for i := range list {
		m := &list[i]
		if nested, ok := m.Authenticator.(*Auth); ok {
			if !nested.zero() && nested.earlier(r) == nil {
				nested.consumeEach(r, nested.list)
			}
			continue
		}
		c, ok := m.Authenticator.(Consumer)
		if !ok {
			continue
		}
		select {
		case a.consuming <- struct{}{}:
		default:
			return
		}
		m.consume(r, c)
		<-a.consuming
	}
}

func (m *calledAuthenticator) consume(r *http.Request, c Consumer) {
	if !m.calls.Direct() {
		own := r.WithContext(r.Context())
		own.Header = maps.Clone(r.Header)
		r = own
	}
	_, _ = bounded.Call(r.Context(), m.calls, "middleware: Auth", func() (struct{}, error) {
		c.Consume(r)
		return struct{}{}, nil
	})
}
