package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// HostPolicy is the list of hosts a server answers for. It stops DNS rebinding: a
// page whose name was pointed at this server after it was loaded is same-origin to
// its browser, but the Host it sends is its own.
//
// The request's Host counts (with HTTP/2 its :authority), or behind a proxy that changes it
// the host that the proxy names: see [HostPolicy.Behind]. It is safe for concurrent use. The
// zero value refuses every request.
type HostPolicy struct {
	raw     map[string]struct{}   // canonical spellings: the fast path
	exact   map[endpoint]struct{} // the same as values, for the other spellings
	ports   []uint16              // of the entries, each once, 443 first
	wild    wildcards
	proxies *Proxies
}

// NewHostPolicy returns a policy that allows the hosts:
//
//	app.example            this name, with no port or with :443
//	app.example:8443       this name and this port
//	*.app.example          its subdomains at any depth, but neither app.example itself
//	                       nor names below another public suffix
//	app-*.preview.example  its subdomains of one label more that begin with app-
//	192.0.2.1, [::1]       addresses
//
// Letter case does not matter, internationalized names may be written in Unicode,
// and a wildcard over a public suffix is an error. A trailing dot is refused:
// "app.example." is another host to cookies and certificates.
func NewHostPolicy(hosts ...string) (*HostPolicy, error) {
	p := &HostPolicy{raw: map[string]struct{}{}, exact: map[endpoint]struct{}{}}
	var errs []error
	if len(hosts) == 0 {
		errs = append(errs, errors.New("middleware: NewHostPolicy: no host is allowed: name at least one"))
	}
	for _, entry := range hosts {
		e, err := parseAllowedHost(entry)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("middleware: NewHostPolicy: %.300q: %w", entry, err))
		default:
			p.add(e)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *HostPolicy) add(e hostPattern) {
	switch {
	case slices.Contains(p.ports, e.port):
	case e.port == 443:
		p.ports = slices.Insert(p.ports, 0, e.port)
	default:
		p.ports = append(p.ports, e.port)
	}
	if e.wild {
		p.wild.add(e)
		return
	}
	p.exact[e.endpoint] = struct{}{}
	p.raw[e.String()] = struct{}{}
	p.raw[e.without(443)] = struct{}{}
}

func parseAllowedHost(entry string) (hostPattern, error) {
	_, rest, hasScheme := strings.Cut(entry, "://")
	switch {
	case entry == "":
		return hostPattern{}, errors.New("it is empty: name a host, or leave it out")
	case entry == "*":
		return hostPattern{}, errors.New("it is every host, not a policy: name the hosts, or leave the layer out")
	case hasScheme:
		return hostPattern{}, fmt.Errorf("a host has no scheme: write %q", rest)
	case strings.ContainsAny(entry, `/\?#@`):
		return hostPattern{}, errors.New(`a host has neither path, query, fragment nor user: write "app.example"`)
	}
	return parsePattern(entry, 443)
}

// Behind returns the same list for a server behind proxies that change Host: it decides about
// [Proxies.Host].
func (p *HostPolicy) Behind(proxies *Proxies) *HostPolicy {
	if p == nil {
		return nil
	}
	behind := *p
	behind.proxies = proxies
	return &behind
}

// Check returns a [Refusal] with status 421 (RFC 9110 §15.5.20) for a request whose
// host is not on the list.
func (p *HostPolicy) Check(r *http.Request) error {
	_, err := p.find(r)
	return err
}

// Admit is [HostPolicy.Check]. If a wildcard admits the host, the returned request carries it,
// so that an [OriginPolicy] can keep the pages of one subdomain from the hosts of others.
func (p *HostPolicy) Admit(r *http.Request) (*http.Request, error) {
	wild, err := p.find(r)
	if err != nil || wild == "" {
		return r, err
	}
	return withWildHost(r, wild), nil
}

var (
	errHostNotAllowed = errors.New("it is not one of the hosts of NewHostPolicy")
	errHostPort       = errors.New("NewHostPolicy has it with another port: name this one, too")
)

// find returns the name of a host that a wildcard admits, without port, and "" for a host
// that the list names.
func (p *HostPolicy) find(r *http.Request) (wild string, err error) {
	if p == nil {
		p = &HostPolicy{}
	}
	host := p.proxies.Host(r)
	if _, ok := p.raw[host]; ok {
		return "", nil
	}
	e, err := parseEndpoint(host, 443)
	if err == nil {
		if _, ok := p.exact[e]; ok {
			return "", nil
		}
		if p.wild.admit(e) {
			return e.host, p.checkTenant(r, e.host)
		}
		err = p.whyNot(e)
	}
	return "", p.refuse(r, host, err)
}

// whyNot returns the reason for which an endpoint that the policy does not have is refused.
func (p *HostPolicy) whyNot(e endpoint) error {
	for _, port := range p.ports {
		e.port = port
		if _, ok := p.exact[e]; ok || p.wild.admit(e) {
			return errHostPort
		}
	}
	return errHostNotAllowed
}

func (p *HostPolicy) refuse(r *http.Request, host string, why error) error {
	if host != r.Host {
		return refuseHost(host, why)
	}
	proxy, header := p.proxies.hostFrom(r)
	switch forwarded := r.Header[forwardedHost]; {
	case len(forwarded) > 0 && header == "":
		why = &unreadHostCause{why, forwarded[0]}
	case proxy.trusted && len(r.Header[header]) == 0:
		why = &proxiedHostCause{why, proxy, header}
	}
	return refuseHost(host, why)
}

func refuseHost(host string, why error) error {
	return refuseFound(http.StatusMisdirectedRequest, ReasonHostNotAllowed, "HostPolicy: Host", host, why)
}

// Handler admits requests for the listed hosts and refuses the others. Mount it outside
// [OriginPolicy.CORS], so that no page may read from the hosts of other tenants.
func (p *HostPolicy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := p.Admit(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
