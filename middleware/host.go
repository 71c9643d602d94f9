package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// HostPolicy is the list of hosts a server answers for. It stops DNS rebinding: a
// page whose name was pointed at this server after it was loaded is same-origin to
// its browser, but the Host it sends is its own.
//
// Only the request's Host counts (with HTTP/2 its :authority), never
// X-Forwarded-Host. It is safe for concurrent use. The zero value refuses every
// request.
type HostPolicy struct {
	raw   map[string]struct{}   // canonical spellings: the fast path
	exact map[endpoint]struct{} // the same as values, for the other spellings
	wild  map[endpoint]struct{} // by the parent of the allowed subdomains
}

// NewHostPolicy returns a policy that allows the hosts:
//
//	app.example         this name, with no port or with :443
//	app.example:8443    this name and this port
//	*.app.example       its subdomains at any depth, but neither app.example itself
//	                    nor names below another public suffix
//	192.0.2.1, [::1]    addresses
//
// Letter case does not matter, internationalized names may be written in Unicode,
// and a wildcard over a public suffix is an error. A trailing dot is refused:
// "app.example." is another host to cookies and certificates.
func NewHostPolicy(hosts ...string) (*HostPolicy, error) {
	p := &HostPolicy{raw: map[string]struct{}{}, exact: map[endpoint]struct{}{}, wild: map[endpoint]struct{}{}}
	var errs []error
	if len(hosts) == 0 {
		errs = append(errs, errors.New("middleware: NewHostPolicy: no host is allowed: name at least one"))
	}
	for _, entry := range hosts {
		e, wild, err := parseAllowedHost(entry)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("middleware: NewHostPolicy: %.300q: %w", entry, err))
		case wild:
			p.wild[e] = struct{}{}
		default:
			p.exact[e] = struct{}{}
			p.raw[e.String()] = struct{}{}
			p.raw[e.without(443)] = struct{}{}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func parseAllowedHost(entry string) (endpoint, bool, error) {
	_, rest, hasScheme := strings.Cut(entry, "://")
	switch {
	case entry == "":
		return endpoint{}, false, errors.New("it is empty: name a host, or leave it out")
	case entry == "*":
		return endpoint{}, false, errors.New("it is every host, not a policy: name the hosts, or leave the layer out")
	case hasScheme:
		return endpoint{}, false, fmt.Errorf("a host has no scheme: write %q", rest)
	case strings.ContainsAny(entry, `/\?#@`):
		return endpoint{}, false, errors.New(`a host has neither path, query, fragment nor user: write "app.example"`)
	}
	return parsePattern(entry, 443)
}

var errHostNotAllowed = errors.New("it is not one of the hosts of NewHostPolicy")

// Check returns a [Refusal] with status 421 (RFC 9110 §15.5.20) for a request whose
// Host is not on the list.
func (p *HostPolicy) Check(r *http.Request) error {
	if p == nil {
		p = &HostPolicy{}
	}
	if _, ok := p.raw[r.Host]; ok {
		return nil
	}
	e, err := parseEndpoint(r.Host, 443)
	if err == nil {
		if _, ok := p.exact[e]; ok || underWildcard(p.wild, e) {
			return nil
		}
		err = errHostNotAllowed
	}
	return refuseFound(http.StatusMisdirectedRequest, ReasonHostNotAllowed, "HostPolicy: Host", r.Host, err)
}

// Handler admits requests for the listed hosts and refuses the others.
func (p *HostPolicy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.Check(r); err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
