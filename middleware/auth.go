package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/internal/contextkey"
)

// Auth decides which principal a request comes from: it accepts exactly one credential,
// recognized by one of its authenticators. It is safe for concurrent use. The zero value
// refuses every request.
//
// An Auth is itself a [Revocable]: a credential is alive while each of its authenticators
// says so.
type Auth struct {
	bounded.Self

	list       []calledAuthenticator
	revocables []calledRevocable // of list, and of all that those ask
	anonymous  bool
	direct     bool // each of list and revocables bounds itself
	challenges []string
	strippers  []Stripper
	nothing    error // of a request for which no authenticator says more
	consuming  chan struct{}
}

// NewAuth returns an Auth over at least one authenticator. [Anonymous] may stand
// once, anywhere: it is asked if every other has found no credential. The error joins all
// that is wrong with the list.
func NewAuth(list ...Authenticator) (*Auth, error) {
	a := &Auth{direct: true, consuming: make(chan struct{}, bounded.MaxCalls)}
	var errs []error
	if len(list) == 0 {
		errs = append(errs, errors.New("middleware: NewAuth: no authenticator: name at least one, or Anonymous()"))
	}
	for i, x := range list {
		if err := a.add(x); err != nil {
			errs = append(errs, fmt.Errorf("middleware: NewAuth: authenticator %d (%T): %w", i, x, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := a.compile(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Auth) add(x Authenticator) error {
	if _, ok := x.(anonymous); ok {
		if a.anonymous {
			return errors.New("Anonymous() is given twice")
		}
		a.anonymous = true
		return nil
	}
	if err := a.validate(x); err != nil {
		return err
	}
	inner, nested := x.(*Auth)
	a.list = append(a.list, calledAuthenticator{Authenticator: x, calls: callerOf(x), ambient: x.Ambient(), nested: nested})
	a.direct = a.direct && boundsItself(x)
	if c, ok := x.(Challenger); ok {
		if challenge := c.Challenge(); challenge != "" {
			a.challenges = append(a.challenges, challenge)
		}
	}
	if nested {
		a.challenges = append(a.challenges, inner.challenges...)
	}
	if s, ok := x.(Stripper); ok {
		a.strippers = append(a.strippers, s)
	}
	return nil
}

func (a *Auth) validate(x Authenticator) error {
	if isNil(x) {
		return errors.New("it is nil")
	}
	for _, y := range parts(nil, x) {
		if slices.ContainsFunc(parts(nil, a), func(z Authenticator) bool { return same(y, z) }) {
			return errors.New("it is given twice: every credential would count as two")
		}
		if how := exclusive(y); how != "" && slices.ContainsFunc(parts(nil, a), func(z Authenticator) bool { return exclusive(z) == how }) {
			return fmt.Errorf("each of two of its kind refuses the credentials of the other: combine them by "+
				"%s, and give the result to NewAuth", how)
		}
	}
	switch x := x.(type) {
	case *revocable:
		if err := x.validate(); err != nil {
			return err
		}
		return a.validate(x.Authenticator)
	case *Auth:
		if x.zero() {
			return errors.New("it is the zero Auth, which refuses every request: use NewAuth")
		}
		if x.anonymous {
			return errors.New("it contains Anonymous(), which would count as a second credential: give Anonymous() to the outer NewAuth")
		}
	}
	return nil
}

func exclusive(x Authenticator) string {
	if e, ok := x.(Exclusive); ok {
		return e.Exclusive()
	}
	return ""
}

// parts appends x, or the authenticators that it consists of.
func parts(found []Authenticator, x Authenticator) []Authenticator {
	switch x := x.(type) {
	case *Auth:
		for _, m := range x.list {
			found = parts(found, m.Authenticator)
		}
		return found
	case *revocable:
		return parts(found, x.Authenticator)
	}
	return append(found, x)
}

func (a *Auth) zero() bool { return a == nil || len(a.list) == 0 && !a.anonymous }

// Ambient reports whether any of the authenticators is ambient.
func (a *Auth) Ambient() bool {
	return a != nil && slices.ContainsFunc(a.list, func(m calledAuthenticator) bool { return m.ambient })
}

// Owns reports whether p may be a principal of one of the authenticators: see [Owner].
func (a *Auth) Owns(p Principal) bool {
	return a != nil && slices.ContainsFunc(a.list, func(m calledAuthenticator) bool { return owns(m.Authenticator, p) })
}

func owns(x Authenticator, p Principal) bool {
	o, ok := x.(Owner)
	return !ok || o.Owns(p)
}

// Authenticate returns the request's principal. A principal that this same Auth already
// vouched for in an outer layer is returned unchanged; one that another Auth vouched for
// does not count. Two credentials are refused, even if one of them is invalid: which of
// them a later layer would believe cannot be known here (ASVS 6.3.4).
//
// An ambient credential on a handshake or an unsafe method needs an Origin, even if the
// [OriginPolicy] admits native clients without one (RFC 6455 §10.2, ASVS 4.4.2).
//
// Revocation is asked once: by the authenticator that recognized the credential, and of
// every other [Revocable] of this Auth. A single-use credential, such as a ticket, is
// consumed, whether or not the request is admitted.
//
// Authenticators that do not bound themselves take at most 2 s in all; then, and if one
// panics, the request is refused with 503 or 500.
func (a *Auth) Authenticate(r *http.Request) (Principal, error) {
	v, err := a.vouch(r)
	if err != nil {
		return Principal{}, err
	}
	return v.Principal(), nil
}

func (a *Auth) vouch(r *http.Request) (*Voucher, error) {
	if a.zero() {
		return nil, Unauthorized(ReasonNoCredential, errZeroAuth)
	}
	if v := a.earlier(r); v != nil {
		return v, nil
	}
	v := &Voucher{auth: a, asked: askedSince(r.Context()).Sub(epoch)}
	var err error
	if a.direct {
		v.principal, err = a.recognize(r)
	} else {
		v.principal, err = a.recognizeBounded(r)
	}
	if err != nil {
		return nil, a.WithChallenge(err)
	}
	return v, nil
}

// askedSince returns the moment from which on an answer about the request's credential may
// come: now, unless authenticators may rely on what an outer layer was told. It is called
// before they are: an answer that is too old for them then is not for the voucher.
func askedSince(ctx context.Context) time.Time {
	asked := time.Now()
	if v, ok := VoucherFrom(ctx); ok && v.Asked().Before(asked) {
		asked = v.Asked() // of an Auth that is one of them, or within one
	}
	if l, ok := ctx.Value(contextkey.Loaded{}).(contextkey.Loader); ok {
		if t := l.Loaded(); !t.IsZero() && t.Before(asked) {
			asked = t
		}
	}
	return asked
}

// BoundsItself reports whether each authenticator of this Auth bounds how long it takes. It
// is for the packages of this module, which pass contextkey.Key().
func (a *Auth) BoundsItself(key contextkey.Ours) bool { return key.Valid() && a.direct }

var errNotOurs = errors.New("middleware: Auth: Vouch is for the packages of this module: use Admit")

var errZeroAuth = errors.New("middleware: Auth: the zero Auth admits no request")

// earlier returns the voucher of this Auth in an outer layer. One in a context that has ended
// is none: the context of a connection ends with its credential.
func (a *Auth) earlier(r *http.Request) *Voucher {
	v, ok := VoucherFrom(r.Context())
	if !ok || v.auth != a || r.Context().Err() != nil {
		return nil
	}
	return v
}

// Admit returns the request with its principal in the context and without the credentials
// that a [Stripper] removes, or the refusal: see [Auth.Authenticate]. It is for callers
// that continue with the request themselves.
func (a *Auth) Admit(r *http.Request) (*http.Request, error) {
	r, err := a.strip(r)
	if err != nil {
		return r, err
	}
	vouched := a.earlier(r) != nil
	v, err := a.Vouch(contextkey.Key(), r)
	if err != nil || vouched {
		return r, err
	}
	return r.WithContext(context.WithValue(r.Context(), contextkey.Voucher{}, v)), nil
}

// Vouch is [Auth.Admit] without the copies of the request: it returns the voucher that
// Admit puts into the context. r is one that [Auth.Stripped] has returned. It is for the
// packages of this module, which pass contextkey.Key().
func (a *Auth) Vouch(key contextkey.Ours, r *http.Request) (*Voucher, error) {
	if !key.Valid() {
		return nil, errNotOurs
	}
	v, err := a.vouch(r)
	if err == nil {
		recordPrincipal(r.Context(), &v.principal)
	}
	return v, err
}

// Handler lets a request through with its principal in the context ([FromContext]),
// or refuses it.
func (a *Auth) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := a.Admit(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
