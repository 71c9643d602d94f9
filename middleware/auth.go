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
	"github.com/securews/securews/internal/opening"
)

// Auth decides which principal a request comes from: it accepts exactly one credential,
// recognized by one of its authenticators. It is safe for concurrent use. The zero value
// refuses every request.
//
// An Auth is itself a [Revocable]: a credential is alive while each of its authenticators
// says so.
type Auth struct {
	bounded.Self

	list       []member
	revocables []revocableMember // of list, and of all that those ask
	anonymous  bool
	direct     bool // each of list and revocables bounds itself
	challenges []string
	strippers  []Stripper
	consuming  chan struct{}
}

// member is an authenticator of an Auth.
type member struct {
	Authenticator
	calls  bounded.Caller
	others []revocableMember // asked about its principals, beside itself
}

type revocableMember struct {
	Revocable
	calls bounded.Caller
}

// NewAuth returns an Auth over at least one authenticator. [Anonymous] may stand
// once, anywhere: it is asked if every other has found no credential.
func NewAuth(list ...Authenticator) (*Auth, error) {
	a := &Auth{direct: true, consuming: make(chan struct{}, bounded.MaxCalls)}
	var errs []error
	if len(list) == 0 {
		errs = append(errs, errors.New("middleware: NewAuth: no authenticator: name at least one, or Anonymous()"))
	}
	for i, x := range list {
		switch {
		case isNil(x):
			errs = append(errs, fmt.Errorf("middleware: NewAuth: authenticator %d is nil", i))
		case x == Anonymous():
			if a.anonymous {
				errs = append(errs, errors.New("middleware: NewAuth: Anonymous() is given twice"))
			}
			a.anonymous = true
		case slices.ContainsFunc(a.list, func(m member) bool { return same(m.Authenticator, x) }):
			errs = append(errs, fmt.Errorf("middleware: NewAuth: authenticator %d (%T) is given twice: every credential would count as two", i, x))
		default:
			a.add(x)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	a.compileOthers()
	return a, nil
}

func (a *Auth) add(x Authenticator) {
	a.list = append(a.list, member{Authenticator: x, calls: bounded.NewCaller(x)})
	a.direct = a.direct && bounded.BoundsItself(x)
	if c, ok := x.(Challenger); ok && c.Challenge() != "" {
		a.challenges = append(a.challenges, c.Challenge())
	}
	if s, ok := x.(Stripper); ok {
		a.strippers = append(a.strippers, s)
	}
}

// compileOthers finds all that is asked about a principal of this Auth, each once.
func (a *Auth) compileOthers() {
	for _, m := range a.list {
		for _, x := range reach(nil, m.Authenticator) {
			if !slices.ContainsFunc(a.revocables, func(y revocableMember) bool { return same(x, y.Revocable) }) {
				a.revocables = append(a.revocables, revocableMember{x, bounded.NewCaller(x)})
				a.direct = a.direct && bounded.BoundsItself(x)
			}
		}
	}
	for i, m := range a.list {
		asked := reach(nil, m.Authenticator)
		for _, x := range a.revocables {
			if !slices.ContainsFunc(asked, func(y Revocable) bool { return same(x.Revocable, y) }) {
				a.list[i].others = append(a.list[i].others, x)
			}
		}
	}
}

// reach appends x, if it is Revocable, and all that x asks. An Auth stands for its own.
func reach(found []Revocable, x Authenticator) []Revocable {
	if a, ok := x.(*Auth); ok {
		for _, y := range a.revocables {
			found = reach(found, y.Revocable)
		}
		return found
	}
	r, ok := x.(Revocable)
	if ok && slices.ContainsFunc(found, func(y Revocable) bool { return same(r, y) }) {
		return found
	}
	if ok {
		found = append(found, r)
	}
	if asker, ok := x.(Asker); ok {
		for _, y := range asker.Asks() {
			found = reach(found, y)
		}
	}
	return found
}

// Ambient reports whether any of the authenticators is ambient.
func (a *Auth) Ambient() bool {
	return a != nil && slices.ContainsFunc(a.list, func(m member) bool { return m.Authenticator.Ambient() })
}

// authTimeout bounds what authenticators that do not bound themselves cost a request, in all.
const authTimeout = 2 * time.Second

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
func (a *Auth) Authenticate(r *http.Request) (Principal, error) {
	v, err := a.vouch(r)
	if err != nil {
		return Principal{}, err
	}
	return *v.principal, nil
}

func (a *Auth) vouch(r *http.Request) (*Voucher, error) {
	if a.zero() {
		return nil, Unauthorized(ReasonNoCredential, errors.New("middleware: Auth: the zero Auth admits no request"))
	}
	if v, ok := VoucherFrom(r.Context()); ok && v.auth == a {
		return v, nil
	}
	v := &Voucher{auth: a, asked: time.Now()}
	if !a.direct {
		ctx, cancel := context.WithTimeout(r.Context(), authTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	p, err := a.recognize(r)
	if err != nil {
		return nil, a.WithChallenge(err)
	}
	v.principal = &p
	return v, nil
}

func (a *Auth) zero() bool { return a == nil || len(a.list) == 0 && !a.anonymous }

// recognize asks each authenticator for its credential, and the others about the principal.
func (a *Auth) recognize(r *http.Request) (Principal, error) {
	found := -1
	var principal Principal
	var failure error
	for i, m := range a.list {
		p, err := m.authenticate(r)
		if errors.Is(err, ErrNoCredential) {
			continue
		}
		if found >= 0 {
			a.consume(r, a.list[i+1:]) // the two have been asked
			return Principal{}, &Refusal{
				Status: http.StatusBadRequest, Reason: ReasonMultipleCredentials,
				Err: fmt.Errorf("middleware: Auth: credentials for both %T and %T", a.list[found].Authenticator, m.Authenticator),
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
		return Principal{}, Unauthorized(ReasonNoCredential, ErrNoCredential)
	case a.list[found].Ambient() && r.Header.Get("Origin") == "" && (opening.IsHandshake(r) || !isSafe(r.Method)):
		return Principal{}, &Refusal{
			Status: http.StatusForbidden, Reason: ReasonOriginMissing,
			Err: errors.New("middleware: Auth: a credential that browsers send automatically came without an Origin"),
		}
	}
	return principal, alive(r.Context(), a.list[found].others, principal)
}

func (m *member) authenticate(r *http.Request) (Principal, error) {
	if m.calls.Direct() {
		return m.Authenticator.Authenticate(r)
	}
	p, err := bounded.Call(r.Context(), m.calls, "middleware: Auth", func() (Principal, error) {
		return m.Authenticator.Authenticate(r)
	})
	if err != nil && r.Context().Err() != nil && !errors.Is(err, ErrNoCredential) {
		err = Unavailable(err) // the implementation did not answer in time
	}
	return p, err
}

// alive asks each of list; the first error is returned, as a Refusal.
func alive(ctx context.Context, list []revocableMember, p Principal) error {
	for _, x := range list {
		if err := x.alive(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (x *revocableMember) alive(ctx context.Context, p Principal) error {
	var err error
	if x.calls.Direct() {
		err = x.Alive(ctx, p)
	} else {
		_, err = bounded.Call(ctx, x.calls, "middleware: Auth", func() (struct{}, error) { return struct{}{}, x.Alive(ctx, p) })
	}
	var f *Refusal
	var panicked *bounded.PanicError
	if err == nil || errors.As(err, &f) || errors.As(err, &panicked) {
		return err
	}
	return Unavailable(err)
}

// Alive asks every [Revocable] of this Auth, those that its authenticators ask included,
// whether the credential behind p is still good. A nil Auth has none, and returns nil.
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

// Admit returns the request with its principal in the context and without the credentials
// that a [Stripper] removes, or the refusal: see [Auth.Authenticate]. It is for callers
// that continue with the request themselves.
func (a *Auth) Admit(r *http.Request) (*http.Request, error) {
	return a.AdmitStripped(contextkey.Ours{}, a.Stripped(r))
}

// AdmitStripped is Admit for a request that [Auth.Stripped] has returned. It is for the
// packages of this module: no other code has an argument for it.
func (a *Auth) AdmitStripped(_ contextkey.Ours, r *http.Request) (*http.Request, error) {
	v, err := a.vouch(r)
	if err != nil {
		return r, err
	}
	if around, ok := VoucherFrom(r.Context()); ok && around == v {
		return r, nil
	}
	recordPrincipal(r.Context(), v.principal)
	return r.WithContext(context.WithValue(r.Context(), contextkey.Voucher{}, v)), nil
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

// WithChallenge returns err with the WWW-Authenticate that RFC 9110 §15.5.2 requires of
// every 401, if err is a [Refusal] of that status without one.
func (a *Auth) WithChallenge(err error) error {
	var f *Refusal
	if a == nil || !errors.As(err, &f) || f == nil || f.Status != http.StatusUnauthorized || f.Header.Get("WWW-Authenticate") != "" || len(a.challenges) == 0 {
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

// Stripped returns the request without what its [Stripper] authenticators find in header
// and URL. [Auth.Admit] and [Auth.Handler] continue with such a request; Stripped is for
// handlers that look at the request before.
func (a *Auth) Stripped(r *http.Request) *http.Request {
	if a == nil {
		return r
	}
	for _, s := range a.strippers {
		r = s.Stripped(r)
	}
	return r
}

// Strip lets every request through without the credentials that stand in its header and
// URL, see [Stripper]. Mount it outside a logger that writes queries or subprotocols;
// [AccessLog] writes neither. It does not authenticate.
func (a *Auth) Strip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, a.Stripped(r))
	})
}

// Consume consumes the single-use credentials of a request that is refused for another
// reason, see [Consumer], unless this Auth has vouched for the request. It is for handlers
// that refuse a request as invalid before they call [Auth.Admit], which consumes by itself;
// a valid request that comes at the wrong time keeps its credential. Beyond 256 calls at
// once it does nothing.
func (a *Auth) Consume(r *http.Request) {
	if a.zero() {
		return
	}
	if v, ok := VoucherFrom(r.Context()); ok && v.auth == a {
		return
	}
	a.consume(r, a.list)
}

func (a *Auth) consume(r *http.Request, list []member) {
	for _, m := range list {
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

func (m *member) consume(r *http.Request, c Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), authTimeout)
	defer cancel()
	_, _ = bounded.Call(ctx, m.calls, "middleware: Auth", func() (struct{}, error) {
		c.Consume(r)
		return struct{}{}, nil
	})
}
