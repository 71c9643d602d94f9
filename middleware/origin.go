package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/internal/method"
	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/internal/recent"
)

// OriginConfig names the pages that may open a WebSocket here, or send an unsafe method: one
// other than GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1).
type OriginConfig struct {
	_ [0]func()

	// Allow lists the origins:
	//
	//	https://app.example            this origin; https://app.example:8443 is another
	//	https://*.app.example          its subdomains at any depth, but not app.example itself
	//	https://app-*.preview.example  its subdomains of one label more that begin with app-;
	//	                               also *-app, and a-*-b
	//	capacitor://localhost          the pages of a native shell or an extension, each by its
	//	                               whole origin: tauri://localhost, chrome-extension://<id>
	//
	// Internationalized names may be written in Unicode. At least one, if AllowFunc is nil.
	Allow []string

	// AllowFunc reports whether a page that Allow does not list is allowed: for customers' own
	// domains, which change at run time. Nil: Allow alone decides. page is an origin on https in
	// canonical form, as "https://shop.example" or "https://shop.example:8443"; null and
	// everything that is not an origin are refused before. host is that of the request, as
	// "api.example" or "api.example:8443" (see [Proxies.Host]); "" if that cannot be read.
	// An attacker chooses how often it is called, so it should look into memory. It is called
	// concurrently. It decides about page and host, so DangerouslyAcrossTenants has no effect on
	// it. NewOriginPolicy calls it with a page that cannot exist, and returns an error if it
	// allows that.
	AllowFunc func(ctx context.Context, page, host string) bool

	// AllowMissing admits requests without an Origin: native clients send none, browsers always
	// do. A credential that browsers send automatically is never accepted without one, see
	// [Auth.Authenticate].
	AllowMissing bool

	// DangerouslyAllowLocalHTTP lets Allow name http://localhost, names below it as
	// http://tenant.localhost, http://127.0.0.1 and http://[::1], with any port. It is for
	// development, and for native shells that serve their pages without TLS.
	DangerouslyAllowLocalHTTP bool

	// DangerouslyAcrossTenants lets the pages that a wildcard of Allow admits use every
	// host that a wildcard of a [HostPolicy] admits: a page of a.app.example then opens
	// sockets to b.app.example, with the cookies that the user has there. By default such a
	// page may use the host with its own name, and the hosts that the HostPolicy names.
	DangerouslyAcrossTenants bool
}

// OriginPolicy decides which pages a request may come from: an exact list (RFC 6455
// §10.2, ASVS 4.4.2, 3.5.1). It guards handshakes, which no CSRF layer sees because
// they are GETs, and unsafe methods; it admits every other request.
//
// It is safe for concurrent use. The zero value refuses every handshake and every
// unsafe method.
type OriginPolicy struct {
	raw           map[string]origin     // canonical spellings: the fast path
	exact         map[origin]struct{}   // the same as values, for the other spellings
	wild          wildcards             // always https
	subdomains    *recent.Cache[origin] // accepted under wild
	allowFunc     func(ctx context.Context, page, host string) bool
	proxies       *Proxies
	allowMissing  bool
	acrossTenants bool
	any           bool
}

// NewOriginPolicy returns the policy of the config. Its error joins all that is
// wrong with the entries, each with what to write instead: a missing scheme, a path, a
// wildcard over a public suffix, null.
func NewOriginPolicy(cfg OriginConfig) (*OriginPolicy, error) {
	p := &OriginPolicy{
		raw: map[string]origin{}, exact: map[origin]struct{}{},
		allowFunc: cfg.AllowFunc, allowMissing: cfg.AllowMissing, acrossTenants: cfg.DangerouslyAcrossTenants,
	}
	var errs []error
	if len(cfg.Allow) == 0 && cfg.AllowFunc == nil {
		errs = append(errs, errors.New(`middleware: OriginConfig.Allow: required: name at least one origin, as in "https://app.example"`))
	}
	for _, entry := range cfg.Allow {
		scheme, e, err := parseAllowedOrigin(entry, cfg.DangerouslyAllowLocalHTTP)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("middleware: OriginConfig.Allow: %.300q: %w", entry, err))
		case e.wild:
			p.wild.add(e)
			p.subdomains = recent.New[origin]()
		default:
			o := origin{scheme, e.endpoint}
			p.exact[o] = struct{}{}
			p.raw[o.String()] = o
		}
	}
	errs = append(errs, checkAllowFunc(cfg.AllowFunc))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// DangerouslyAnyOrigin returns a policy that admits every page: each
// well-formed Origin, null and file:// too, and requests without one. It ignores
// Sec-Fetch-Site. It is for public feeds that no credential opens. Together with a
// credential that browsers send automatically, it is an error of the constructor that
// takes both.
func DangerouslyAnyOrigin() *OriginPolicy {
	return &OriginPolicy{any: true, allowMissing: true}
}

// AllowsAny reports whether this is [DangerouslyAnyOrigin].
func (p *OriginPolicy) AllowsAny() bool { return p != nil && p.any }

// zero reports whether no Origin can be on the list.
func (p *OriginPolicy) zero() bool {
	return p == nil || !p.any && len(p.exact) == 0 && p.wild.empty() && p.allowFunc == nil
}

// Behind returns the same policy for a server behind proxies that change Host: the host that
// a request was sent to is [Proxies.Host]. ws.New does this with its Config.Proxies.
func (p *OriginPolicy) Behind(proxies *Proxies) *OriginPolicy {
	if p == nil {
		return nil
	}
	behind := *p
	behind.proxies = proxies
	return &behind
}

// Check returns a [Refusal] with status 403 for a handshake or an unsafe method
// whose Origin is not on the list, missing, sent twice, or in conflict with its
// Sec-Fetch-Site.
//
// Origins are compared as tuples (RFC 6454 §5): https://APP.example:443 is
// https://app.example, and nothing else is. That Origin and Host are equal admits no
// request: after DNS rebinding they are equal. A Sec-Fetch-Site is a conflict if it says
// cross-site although Origin and Host are equal: a proxy in front has rewritten them.
func (p *OriginPolicy) Check(r *http.Request) error {
	_, _, err := p.check(r)
	return err
}

// check also returns the Origin, and whether a wildcard admits it.
func (p *OriginPolicy) check(r *http.Request) (o origin, wild bool, err error) {
	if method.IsSafe(r.Method) && !opening.IsHandshake(r) {
		return o, false, nil
	}
	if p == nil {
		p = &OriginPolicy{}
	}
	lines := r.Header["Origin"]
	switch {
	case len(lines) > 1:
		// RFC 6454 §7.3: at most one. Which of two the next server believes is not
		// known here, so two equal ones are refused as well.
		return o, false, refuseOrigin(ReasonOriginMalformed, lines[0], errSeveralOrigins)
	case len(lines) == 0 && !p.allowMissing:
		return o, false, originMissing
	case len(lines) == 0 && p.any:
		return o, false, nil
	case len(lines) == 0:
		return o, false, checkFetchSiteAlone(r)
	}
	if o, wild, err = p.admit(r, lines[0]); err != nil || p.any {
		return o, wild, err
	}
	return o, wild, p.checkFetchSite(r, o)
}

// Handler admits a request or refuses it, as [OriginPolicy.Check] says.
func (p *OriginPolicy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, wild, err := p.check(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		if wild {
			r = p.withWildPage(r, o)
		}
		next.ServeHTTP(w, r)
	})
}
