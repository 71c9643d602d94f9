package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// checkFetchSite is the second lock: if the browser says how its page is related to
// this server, that must agree with the Origin of the page (Fetch Metadata
// §2.3, ASVS 3.2.1). Absence proves nothing: Chromium sends no Sec-Fetch-Site on a
// handshake.
//
// It has two costs. A proxy in front has to pass on the Host with its port, because
// the server's own origin is read from it. And "same site" is decided with the
// Public Suffix List of this binary; the browser's may be newer. If they
// differ, a page on a sibling subdomain is refused although it is listed.
func (p *OriginPolicy) checkFetchSite(r *http.Request, o origin) error {
	lines := r.Header["Sec-Fetch-Site"]
	if len(lines) == 0 {
		return nil
	}
	site := lines[0]
	if len(lines) > 1 {
		return refuseFetchSite(site, errSeveralSites)
	}
	own, err := ownOrigin(r, o)
	if err != nil {
		return refuseFetchSite(site, &hostCause{r.Host, err})
	}
	agrees := false
	switch site {
	case "same-origin":
		agrees = o == own
	case "same-site":
		agrees = o != own && p.sameSite(o, own)
	case "cross-site":
		// A page of ours that another site redirected here is cross-site,
		// too, but its Origin is then null (Fetch, redirect-tainted).
		agrees = !p.sameSite(o, own)
	case "none":
		// The user typed an address or chose a bookmark. That opens no socket,
		// and a form that is sent again has no foreign Origin.
	}
	if !agrees {
		return refuseFetchSite(site, &conflictCause{o, own})
	}
	return nil
}

var (
	errSeveralSites  = errors.New("it is one of several Sec-Fetch-Site headers")
	errWithoutOrigin = errors.New("it is a browser's, and came without an Origin")
)

func refuseFetchSite(site string, why error) error {
	return refuseFound(http.StatusForbidden, ReasonFetchMetadata, "OriginPolicy: Sec-Fetch-Site", site, why)
}

// hostCause and conflictCause say which value disagrees, and what to change in front.
type hostCause struct {
	host string
	why  error
}

func (c *hostCause) Error() string {
	return fmt.Sprintf("it cannot be compared with Host %.300q: %v: let the proxy in front pass on the Host as it came", c.host, c.why)
}

type conflictCause struct{ page, own origin }

func (c *conflictCause) Error() string {
	return fmt.Sprintf("it disagrees with Origin %q at this server %q: let the proxy in front pass on the Host as it came", c.page, c.own)
}

// checkFetchSiteAlone is for requests without an Origin that are allowed to have none. A
// Sec-Fetch-Site shows that the client is a browser, so one that names another site
// is refused: the Origin was left out on purpose, or removed on the way.
func checkFetchSiteAlone(r *http.Request) error {
	lines := r.Header["Sec-Fetch-Site"]
	if len(lines) == 0 || len(lines) == 1 && (lines[0] == "none" || lines[0] == "same-origin") {
		return nil
	}
	return refuseFetchSite(lines[0], errWithoutOrigin)
}

// ownOrigin is the origin that the request was sent to. TLS ends in front of many
// servers, so the scheme is https even if this connection is not, except for a local page that
// was itself loaded without TLS.
func ownOrigin(r *http.Request, o origin) (origin, error) {
	scheme := "https"
	if o.scheme == "http" && r.TLS == nil {
		scheme = "http"
	}
	e, err := parseEndpoint(r.Host, defaultPort(scheme))
	return origin{scheme, e}, err
}

// sameSite is HTML §7.1.1, schemeful. Addresses, single labels and public suffixes
// have no registrable domain: they are the same site only as themselves.
func (p *OriginPolicy) sameSite(a, b origin) bool {
	if a.scheme != b.scheme {
		return false
	}
	if a.host == b.host {
		return true
	}
	site := p.site(a.host)
	return site != "" && site == p.site(b.host)
}

// site returns the registrable domain of a host; "" if it has none.
func (p *OriginPolicy) site(host string) string {
	if site, ok := p.sites.Get(host); ok {
		return site
	}
	site := ""
	if host[0] != '[' { // the list knows IPv4 addresses, but not brackets
		site, _ = publicsuffix.EffectiveTLDPlusOne(host)
	}
	p.sites.Put(host, strings.Clone(site))
	return site
}
