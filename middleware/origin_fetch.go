package middleware

import (
	"fmt"
	"net/http"

	"golang.org/x/net/publicsuffix"
)

// checkFetchSite is the second lock: where the browser says what its page is to
// this server, that must agree with the Origin it says the page has (Fetch Metadata
// §2.3, ASVS 3.2.1). Absence proves nothing: Chromium sends no Sec-Fetch-Site on a
// handshake.
//
// What this costs: a proxy in front has to pass the Host on with its port, since
// the server's own origin is read from there, and "same site" is decided with the
// Public Suffix List this binary was built with; the browser's may be newer. Where
// they differ, a page on a sibling subdomain is refused although it is listed.
func checkFetchSite(r *http.Request, o origin) error {
	lines := r.Header["Sec-Fetch-Site"]
	if len(lines) == 0 {
		return nil
	}
	if len(lines) > 1 {
		return originRefusal(ReasonFetchMetadata, fmt.Errorf("%d Sec-Fetch-Site headers", len(lines)))
	}
	own, err := ownOrigin(r, o)
	if err != nil {
		return originRefusal(ReasonFetchMetadata, fmt.Errorf("Sec-Fetch-Site cannot be compared: Host %.300q: %w", r.Host, err))
	}
	agrees := false
	switch lines[0] {
	case "same-origin":
		agrees = o == own
	case "same-site":
		agrees = o != own && sameSite(o, own)
	case "cross-site":
		// A page of ours that was sent through another site on its way here says
		// cross-site too, but its Origin is then null (Fetch, redirect-tainted).
		agrees = !sameSite(o, own)
	case "none":
		// The user's own doing: an address typed, a bookmark. It opens no socket,
		// and what it posts again has no foreign Origin.
	}
	if !agrees {
		return originRefusal(ReasonFetchMetadata, fmt.Errorf("Sec-Fetch-Site %.40q disagrees: Origin %q, this server %q", lines[0], o, own))
	}
	return nil
}

// checkFetchSiteAlone is for requests without an Origin where that is allowed. A
// Sec-Fetch-Site shows that a browser is speaking, so one that names another site
// is refused: it left the Origin out on purpose, or somebody took it away.
func checkFetchSiteAlone(r *http.Request) error {
	lines := r.Header["Sec-Fetch-Site"]
	if len(lines) == 0 || len(lines) == 1 && (lines[0] == "none" || lines[0] == "same-origin") {
		return nil
	}
	return originRefusal(ReasonFetchMetadata, fmt.Errorf("Sec-Fetch-Site %.80q without an Origin", lines))
}

// ownOrigin is the origin that the request was sent to. TLS ends in front of many
// servers, so it is https whatever this connection is, except for a local page that
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
func sameSite(a, b origin) bool {
	if a.scheme != b.scheme {
		return false
	}
	if a.host == b.host {
		return true
	}
	if a.host[0] == '[' || b.host[0] == '[' { // the list knows IPv4 addresses, brackets it does not
		return false
	}
	x, err := publicsuffix.EffectiveTLDPlusOne(a.host)
	if err != nil {
		return false
	}
	y, err := publicsuffix.EffectiveTLDPlusOne(b.host)
	return err == nil && x == y
}
