package middleware

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/securews/securews/internal/method"
	"github.com/securews/securews/internal/opening"
	"github.com/securews/securews/internal/recent"
)

// OriginConfig names the pages that may open a WebSocket here, or send an unsafe method.
type OriginConfig struct {
	_ [0]func()

	// Allow lists the origins: "https://app.example", "https://app.example:8443",
	// or "https://*.app.example" for its subdomains at any depth, but not for
	// app.example itself. Internationalized names may be written in Unicode.
	// At least one.
	Allow []string

	// AllowMissing admits requests without an Origin: native clients send
	// none, browsers always do. A credential that browsers send automatically is never
	// accepted without one, see [Auth.Authenticate].
	AllowMissing bool

	// DangerouslyAllowLocalHTTP lets Allow name http://localhost, http://127.0.0.1
	// and http://[::1], with any port: development without TLS.
	DangerouslyAllowLocalHTTP bool
}

// OriginPolicy decides which pages a request may come from: an exact list (RFC 6455
// §10.2, ASVS 4.4.2, 3.5.1). It guards handshakes, which no CSRF layer sees because
// they are GETs, and unsafe methods; it admits every other request.
//
// It is safe for concurrent use. The zero value refuses every handshake and every
// unsafe method.
type OriginPolicy struct {
	raw          map[string]origin     // canonical spellings: the fast path
	exact        map[origin]struct{}   // the same as values, for the other spellings
	wild         map[endpoint]struct{} // by the parent of the allowed subdomains; always https
	subdomains   *recent.Cache[origin] // accepted under wild
	sites        *recent.Cache[string] // registrable domains of hosts
	allowMissing bool
	any          bool
}

// NewOriginPolicy returns the policy of the config. Its error joins all that is
// wrong with the entries, each with what to write instead: a missing or another
// scheme, a path, a wildcard over a public suffix, null.
func NewOriginPolicy(cfg OriginConfig) (*OriginPolicy, error) {
	p := &OriginPolicy{
		raw: map[string]origin{}, exact: map[origin]struct{}{}, wild: map[endpoint]struct{}{},
		sites:        recent.New[string](),
		allowMissing: cfg.AllowMissing,
	}
	var errs []error
	if len(cfg.Allow) == 0 {
		errs = append(errs, errors.New(`middleware: OriginConfig.Allow: required: name at least one origin, as in "https://app.example"`))
	}
	for _, entry := range cfg.Allow {
		o, wild, err := parseAllowedOrigin(entry, cfg.DangerouslyAllowLocalHTTP)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("middleware: OriginConfig.Allow: %.300q: %w", entry, err))
		case wild:
			p.wild[o.endpoint] = struct{}{}
			p.subdomains = recent.New[origin]()
		default:
			p.exact[o] = struct{}{}
			p.raw[o.String()] = o
		}
	}
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

// Check returns a [Refusal] with status 403 for a handshake or an unsafe method
// whose Origin is not on the list, missing, sent twice, or in conflict with its
// Sec-Fetch-Site.
//
// Origins are compared as tuples (RFC 6454 §5): https://APP.example:443 is
// https://app.example, and nothing else is. That Origin and Host are equal admits no
// request: after DNS rebinding they are equal. Only Sec-Fetch-Site is compared with the
// Host, so a proxy in front must pass on the Host as the browser sent it, port included;
// otherwise browsers that send both are refused.
func (p *OriginPolicy) Check(r *http.Request) error {
	if method.IsSafe(r.Method) && !opening.IsHandshake(r) {
		return nil
	}
	if p == nil {
		p = &OriginPolicy{}
	}
	lines := r.Header["Origin"]
	switch {
	case len(lines) > 1:
		// RFC 6454 §7.3: at most one. Which of two the next server believes is not
		// known here, so two equal ones are refused as well.
		return refuseOrigin(ReasonOriginMalformed, lines[0], errSeveralOrigins)
	case len(lines) == 0 && !p.allowMissing:
		return originMissing
	case len(lines) == 0 && p.any:
		return nil
	case len(lines) == 0:
		return checkFetchSiteAlone(r)
	}
	o, err := p.admit(lines[0])
	if err != nil || p.any {
		return err
	}
	return p.checkFetchSite(r, o)
}

var (
	originMissing error = &Refusal{
		Status: http.StatusForbidden, Reason: ReasonOriginMissing,
		Err: errors.New("middleware: OriginPolicy: no Origin: browsers send one; OriginConfig.AllowMissing admits native clients"),
	}

	errSeveralOrigins = errors.New("it is one of several Origin headers (RFC 6454 §7.3)")
	errNotAllowed     = errors.New("it is not in OriginConfig.Allow")
	errOpaqueOrigin   = errors.New("it is a sandboxed frame, a local file, or a redirect across sites, which OriginConfig.Allow cannot name")
)

func refuseOrigin(reason Reason, value string, why error) error {
	return refuseFound(http.StatusForbidden, reason, "OriginPolicy: Origin", value, why)
}

// admit returns the tuple of an Origin that is allowed, or the refusal.
func (p *OriginPolicy) admit(value string) (origin, error) {
	if o, ok := p.raw[value]; ok {
		return o, nil
	}
	if o, ok := p.subdomains.Get(value); ok {
		return o, nil
	}
	// RFC 6454 §7.1: null, in that exact spelling. Chromium sends file:// for a local
	// file that may read others, as in Electron.
	if value == "null" || value == "file://" {
		if p.any {
			return origin{}, nil
		}
		return origin{}, refuseOrigin(ReasonOriginNotAllowed, value, errOpaqueOrigin)
	}
	o, err := parseOrigin(value)
	if err != nil {
		return origin{}, refuseOrigin(ReasonOriginMalformed, value, err)
	}
	if _, ok := p.exact[o]; ok || p.any {
		return o, nil
	}
	if o.scheme == "https" && underWildcard(p.wild, o.endpoint) {
		p.subdomains.Put(value, o.clone())
		return o, nil
	}
	return origin{}, refuseOrigin(ReasonOriginNotAllowed, value, errNotAllowed)
}

// Handler admits a request or refuses it, as [OriginPolicy.Check] says.
func (p *OriginPolicy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.Check(r); err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
