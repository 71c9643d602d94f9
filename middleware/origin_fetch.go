package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/securews/securews/internal/loopback"
)

// checkFetchSite refuses an allowed Origin if Sec-Fetch-Site (Fetch Metadata §2.3, ASVS 3.2.1)
// shows that it is not the browser's own, because a proxy has rewritten both Origin and Host.
// The values same-origin and same-site are not compared with the Host: proxies change the name
// and the port, and sites are told apart by the Public Suffix List, of which the browser's copy
// and this binary's differ in age. A request without Sec-Fetch-Site passes: Chromium sends none
// on a handshake.
func (p *OriginPolicy) checkFetchSite(r *http.Request, o origin) error {
	lines := r.Header["Sec-Fetch-Site"]
	if len(lines) == 0 {
		return nil
	}
	site := lines[0]
	switch {
	case len(lines) > 1:
		return refuseFetchSite(site, errSeveralSites)
	case site == "same-origin" || site == "same-site":
		return nil
	case site == "cross-site":
		return p.checkCrossSite(r, o)
	case site == "none" && defaultPort(o.scheme) == 0:
		return nil // an extension that may read this host (Chromium)
	case site == "none":
		// The user typed an address or chose a bookmark. That opens no socket,
		// and a form that is sent again has no foreign Origin.
		return refuseFetchSite(site, errNoneSite)
	}
	return refuseFetchSite(site, errUnknownSite)
}

// checkCrossSite refuses a cross-site request whose Origin has the host of this server. Two
// origins with one host and one scheme are the same site by any Public Suffix List
// (HTML §7.1.1). The request of an own page that another site has redirected here is
// cross-site, too, but its Origin is then null (Fetch, redirect-tainted).
func (p *OriginPolicy) checkCrossSite(r *http.Request, o origin) error {
	if o.scheme != "https" { // a local page without TLS is cross-site to a server on TLS
		return nil
	}
	host := p.proxies.Host(r)
	own, err := parseEndpoint(host, 443)
	switch {
	case err != nil:
		return refuseFetchSite("cross-site", &hostCause{host, err})
	case own.host != o.host:
		return nil
	case r.TLS == nil && loopback.Is(strings.Trim(own.host, "[]")):
		return nil // a page on TLS and a server without it, both on this machine
	}
	return refuseFetchSite("cross-site", &conflictCause{o, host})
}

var (
	errSeveralSites  = errors.New("it is one of several Sec-Fetch-Site headers")
	errNoneSite      = errors.New("it stands for an address that the user typed, which opens no socket and sends no Origin")
	errUnknownSite   = errors.New("it is not a value of Fetch Metadata §2.3")
	errWithoutOrigin = errors.New("it is a browser's, and came without an Origin")
)

func refuseFetchSite(site string, why error) error {
	return refuseFound(http.StatusForbidden, ReasonFetchMetadata, "OriginPolicy: Sec-Fetch-Site", site, why)
}

// hostCause is the cause if the Host cannot be compared with the Origin.
type hostCause struct {
	host string
	why  error
}

func (c *hostCause) Error() string {
	return fmt.Sprintf("it cannot be compared with Host %.300q: %v: let the proxy in front pass on the Host as it came", c.host, c.why)
}

// conflictCause is the cause if the Origin has the host of this server.
type conflictCause struct {
	page origin
	host string
}

func (c *conflictCause) Error() string {
	return fmt.Sprintf("it disagrees with Origin %q at the Host %.300q: let the proxy in front pass on Origin and Host as they came, or "+
		"name the Host by ProxiesConfig.HostHeader", c.page, c.host)
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
