package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
)

// ErrNoCredential is what an [Authenticator] returns for a request that carries
// none of its credentials: the next one is asked. Any other error refuses.
var ErrNoCredential = errors.New("middleware: no credential")

// Authenticator recognises one kind of credential.
//
// Implementations are safe for concurrent use and verify on every call: the
// answer may be cached, revocation and expiry may not.
type Authenticator interface {
	// Authenticate returns the principal of the request's credential,
	// [ErrNoCredential] where there is none of this kind, or a [Refusal]. Any
	// other error answers 500.
	Authenticate(r *http.Request) (Principal, error)

	// Ambient reports whether browsers send the credential unasked, as they do
	// cookies and client certificates. Such a credential is only accepted
	// together with an Origin.
	Ambient() bool
}

// Challenger is an [Authenticator] that names its scheme in WWW-Authenticate
// (RFC 9110 §11.6.1).
type Challenger interface {
	Challenge() string // for example `Bearer realm="api"`
}

// Auth decides who a request is from: exactly one credential, recognised by one
// of its authenticators. It is safe for concurrent use. The zero value refuses
// every request.
type Auth struct {
	list       []Authenticator
	anonymous  bool
	challenges []string
	strippers  []Stripper
}

// NewAuth returns an Auth over at least one authenticator. [Anonymous] may stand
// once, anywhere: it is asked when every other has found no credential.
func NewAuth(list ...Authenticator) (*Auth, error) {
	a := &Auth{}
	var errs []error
	if len(list) == 0 {
		errs = append(errs, errors.New("middleware: auth: no authenticator: name at least one, or Anonymous()"))
	}
	for i, x := range list {
		switch {
		case isNil(x):
			errs = append(errs, fmt.Errorf("middleware: auth: authenticator %d is nil", i))
		case x == Anonymous():
			if a.anonymous {
				errs = append(errs, errors.New("middleware: auth: Anonymous() is given twice"))
			}
			a.anonymous = true
		case reflect.ValueOf(x).Comparable() && slices.Contains(a.list, x):
			errs = append(errs, fmt.Errorf("middleware: auth: authenticator %d (%T) is given twice: every credential would count as two", i, x))
		default:
			a.list = append(a.list, x)
			if c, ok := x.(Challenger); ok {
				a.challenges = append(a.challenges, c.Challenge())
			}
			if s, ok := x.(Stripper); ok {
				a.strippers = append(a.strippers, s)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
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

// Ambient reports whether any of the authenticators is ambient.
func (a *Auth) Ambient() bool {
	return a != nil && slices.ContainsFunc(a.list, Authenticator.Ambient)
}

// Check returns the request's principal. A principal that this same Auth already
// vouched for further out is returned as it is; one that another Auth vouched for
// counts for nothing. Two credentials are refused, whatever each is worth: which
// of them a later layer would believe is not ours to guess (ASVS 6.3.4).
//
// An ambient credential on a handshake or an unsafe method needs an Origin, even
// where the [OriginPolicy] lets native clients do without (RFC 6455 §10.2,
// ASVS 4.4.2).
//
// A credential that is good once, such as a ticket, is used up by it, whatever comes of it.
func (a *Auth) Check(r *http.Request) (Principal, error) {
	if a == nil || len(a.list) == 0 && !a.anonymous {
		return Principal{}, &Refusal{Status: http.StatusUnauthorized, Reason: ReasonNoCredential, Err: errors.New("middleware: auth: the zero Auth admits nobody")}
	}
	if v := voucherFrom(r.Context()); v != nil && v.by == a {
		return v.principal, nil
	}
	found := -1
	var principal Principal
	var failure error
	for i, x := range a.list {
		p, err := x.Authenticate(r)
		if errors.Is(err, ErrNoCredential) {
			continue
		}
		if found >= 0 {
			consume(r, a.list[i+1:]) // the two have been asked
			return Principal{}, &Refusal{
				Status: http.StatusBadRequest, Reason: ReasonMultipleCredentials,
				Err: fmt.Errorf("middleware: auth: credentials for both %T and %T", a.list[found], x),
			}
		}
		found, principal, failure = i, p, err
	}
	switch {
	case failure != nil:
		return Principal{}, a.WithChallenge(failure)
	case found < 0 && a.anonymous:
		return Anonymous().Authenticate(r)
	case found < 0:
		return Principal{}, a.WithChallenge(&Refusal{Status: http.StatusUnauthorized, Reason: ReasonNoCredential, Err: ErrNoCredential})
	case a.list[found].Ambient() && r.Header.Get("Origin") == "" && (IsHandshake(r) || !isSafe(r.Method)):
		return Principal{}, &Refusal{
			Status: http.StatusForbidden, Reason: ReasonOriginMissing,
			Err: errors.New("middleware: auth: a credential that browsers send unasked came without an Origin"),
		}
	}
	return principal, nil
}

// WithChallenge returns err with the WWW-Authenticate that RFC 9110 §15.5.2 wants on every
// 401, if it is a [Refusal] of that status without one.
func (a *Auth) WithChallenge(err error) error {
	var f *Refusal
	if !errors.As(err, &f) || f == nil || f.Status != http.StatusUnauthorized || f.Header.Get("WWW-Authenticate") != "" || len(a.challenges) == 0 {
		return err
	}
	g := *f
	g.Header = f.Header.Clone()
	if g.Header == nil {
		g.Header = http.Header{}
	}
	g.Header["Www-Authenticate"] = slices.Clone(a.challenges)
	return &g
}

// WithChallenge is [Auth.WithChallenge] of the Auth that vouched for the request whose context ctx
// is, for handlers behind it that find the credential wanting after all. Where none did it
// names Bearer, since RFC 9110 §15.5.2 wants a scheme and there is none that would do.
func WithChallenge(ctx context.Context, err error) error {
	if v := voucherFrom(ctx); v != nil {
		return v.by.WithChallenge(err)
	}
	return (&Auth{challenges: []string{"Bearer"}}).WithChallenge(err)
}

// Authenticate returns the request with its principal in the context and without the
// credentials that a [Stripper] takes out of it, or the refusal. It is Check for callers
// that go on with the request themselves.
func (a *Auth) Authenticate(r *http.Request) (*http.Request, Principal, error) {
	r = a.Stripped(r)
	p, err := a.Check(r)
	if err != nil {
		return r, Principal{}, err
	}
	if v := voucherFrom(r.Context()); v != nil && v.by == a {
		return r, p, nil
	}
	recordPrincipal(r.Context(), p)
	ctx := context.WithValue(r.Context(), voucherKey{}, &voucher{by: a, principal: p})
	return r.WithContext(ctx), p, nil
}

// Handler lets a request through with its principal in the context ([FromContext])
// or refuses it.
func (a *Auth) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, _, err := a.Authenticate(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Anonymous admits requests without any credential, as a principal whose Method is
// "anonymous" and whose Subject is empty. Limits per principal do not apply to it.
func Anonymous() Authenticator { return anonymous{} }

type anonymous struct{}

func (anonymous) Ambient() bool { return false }

func (anonymous) Authenticate(*http.Request) (Principal, error) {
	return Principal{Method: "anonymous"}, nil
}
