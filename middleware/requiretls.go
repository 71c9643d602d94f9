package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/securews/securews/internal/opening"
)

// RequireTLS refuses requests that did not come over TLS, as [Proxies.CheckTLS] does: 403
// `tls_required` (ASVS 4.4.1, 4.1.2). It does not redirect: a client that is redirected
// to https has already shown its credential to the network, and the mistake stays unnoticed.
// Browsers do not follow a redirect of a handshake.
//
// A nil p trusts no header: only TLS to this server counts.
func RequireTLS(p *Proxies) Middleware {
	return layered(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		err := p.CheckTLS(r)
		tellHeaders(w, r, p, err == nil)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RedirectTLS is [RequireTLS] for the pages of a site: a GET or HEAD that asks for
// HTML is sent to the same place on https (308). hosts are the hosts on https: the target is
// the one with the name that the request asked for ([Proxies.Host]), at its port there, 443 or
// the first that is listed. It refuses a name that is not on the list, so that it is not an open
// redirect. It refuses handshakes, other methods and requests that do not ask for HTML as
// RequireTLS does: ASVS 4.1.2 allows redirects only for pages that a user opens.
//
// It refuses, too, if the client may be on https already, since the redirect would lead back
// here for ever: a trusted proxy does not say http, a proxy that is not trusted has
// forwarded the request, or a browser sends Sec-Fetch-Site, which it does on https only.
func RedirectTLS(p *Proxies, hosts *HostPolicy) Middleware {
	return redirectTLS(p, func(r *http.Request) (string, error) { return hosts.onTLS(p.Host(r)) })
}

// RedirectTLSTo is [RedirectTLS] to one origin, as "https://app.example" or
// "https://app.example:8443", whatever host the request asked for.
func RedirectTLSTo(p *Proxies, origin string) (Middleware, error) {
	scheme, e, err := parseAllowedOrigin(origin, true)
	switch {
	case err == nil && scheme != "https":
		err = errors.New(`it is not on https: write "https://app.example"`)
	case err == nil && e.wild:
		err = errors.New(`it is a pattern: write "https://app.example"`)
	}
	if err != nil {
		return nil, &foundCause{"RedirectTLSTo:", origin, err}
	}
	host := e.without(443)
	return redirectTLS(p, func(*http.Request) (string, error) { return host, nil }), nil
}

func redirectTLS(p *Proxies, target func(*http.Request) (host string, err error)) Middleware {
	return layered(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		err := p.CheckTLS(r)
		tellHeaders(w, r, p, err == nil)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		if !asksForDocument(r) {
			Refuse(w, r, err)
			return
		}
		if sign := p.signOfTLS(r); sign != "" {
			Refuse(w, r, &Refusal{Status: http.StatusForbidden, Reason: ReasonTLSRequired, Err: &loopCause{errors.Unwrap(err), sign}})
			return
		}
		host, err := target(r)
		if err != nil {
			Refuse(w, r, err)
			return
		}
		u := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, u.String(), http.StatusPermanentRedirect)
	})
}

// signOfTLS returns why the client may be on https although the request came without TLS; ""
// without such a sign, as far as the request shows. Browsers send Fetch Metadata to potentially
// trustworthy URLs only (Fetch Metadata §3): those on https, and local ones.
func (p *Proxies) signOfTLS(r *http.Request) string {
	c := p.find(r)
	if name, _, _ := splitPort(c.host, 0); len(r.Header["Sec-Fetch-Site"]) > 0 && !isLocalPage(strings.ToLower(name)) {
		return "Sec-Fetch-Site, which browsers send on https,"
	}
	switch {
	case c.peer.trusted && c.scheme == schemeHTTP:
		return ""
	case c.peer.trusted:
		return "a proxy that does not say http"
	case c.peer.kind != peerTCP:
		return "a peer that has no address"
	}
	return forwardedBy(r)
}

// loopCause adds the result of signOfTLS to the cause of a refusal.
type loopCause struct {
	why  error
	sign string
}

func (c *loopCause) Error() string {
	return fmt.Sprintf("%v; %s shows that the client may be on https already, so a redirect would lead back here", c.why, c.sign)
}

func (c *loopCause) Unwrap() error { return c.why }

// onTLS returns host[:port] of the listed host with the name of host.
func (p *HostPolicy) onTLS(host string) (string, error) {
	if p == nil {
		p = &HostPolicy{}
	}
	e, err := parseEndpoint(host, 443)
	if err != nil {
		return "", refuseHost(host, err)
	}
	for _, port := range p.ports {
		e.port = port
		if _, ok := p.exact[e]; ok || p.wild.admit(e) {
			return e.without(443), nil
		}
	}
	return "", refuseHost(host, errHostNotAllowed)
}

func asksForDocument(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || opening.IsHandshake(r) || r.URL.Opaque != "" {
		return false
	}
	return strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
}
