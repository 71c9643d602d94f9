package session

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/securews/securews/internal/loopback"
	"github.com/securews/securews/middleware"
)

// checkLocal refuses a request that DangerouslyAllowLocalHTTP is not for. A deployment
// that left it set learns that from the requests of its first page.
func checkLocal(r *http.Request) error {
	why := notLocal(r)
	if why == "" {
		return nil
	}
	return &middleware.Refusal{
		Status: http.StatusMisdirectedRequest, Reason: middleware.ReasonHostNotAllowed,
		Err: errors.New("session: DangerouslyAllowLocalHTTP serves http://localhost only: " + why),
	}
}

// notLocal returns the evidence that the request is not one of a local page; "" if there is
// none. A proxy that rewrites Host and adds nothing is known by the browser's own headers
// about the page.
func notLocal(r *http.Request) string {
	switch {
	case r.TLS != nil:
		return "the request came over TLS"
	case !isLoopback(r.Host):
		return "the request is for another host"
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		// nginx's default towards a backend. No browser speaks it, and no development server.
		return "the request is HTTP/1.0, so it came through a proxy"
	case proxied(r.Header):
		return "the request came through a proxy that is not local"
	}
	for _, origin := range r.Header["Origin"] {
		if u, err := url.Parse(origin); origin != "null" && (err != nil || !isLoopback(u.Host)) {
			return "the page is of another host, by its Origin"
		}
	}
	if foreignPage(r.Header) {
		return "the page is of another host, by its Referer"
	}
	return ""
}

// proxyHeaders are those of proxies and hosting platforms that no development server sends.
var proxyHeaders = []string{
	"Forwarded", "Via", "Cdn-Loop", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Fly-Client-Ip",
	"Fastly-Client-Ip", "Do-Connecting-Ip", "X-Azure-Clientip", "X-Arr-Ssl", "X-Amzn-Trace-Id", "X-Amz-Cf-Id",
	"X-Cloud-Trace-Context", "X-Envoy-External-Address", "X-Original-Forwarded-For", "X-Scheme", "Front-End-Https",
}

// proxied reports whether the header names a proxy other than a development server's, which
// says by X-Forwarded headers that client and page are local.
func proxied(h http.Header) bool {
	for name, lines := range h {
		local := func(string) bool { return false }
		switch {
		case name == "X-Forwarded-For", name == "X-Forwarded-Host", name == "X-Real-Ip":
			local = isLoopback
		case name == "X-Forwarded-Proto":
			local = func(s string) bool { return s == "http" || s == "ws" }
		case name == "X-Forwarded-Port":
			local = func(s string) bool { return s != "443" }
		case strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "Cf-"), slices.Contains(proxyHeaders, name):
		default:
			continue
		}
		for _, line := range lines {
			for value := range strings.SplitSeq(line, ",") {
				if !local(strings.Trim(value, " \t")) {
					return true
				}
			}
		}
	}
	return false
}

// foreignPage reports whether a Referer shows that the browser's address of this request is not
// local: it says that the page of another host is of the same site, or names that page in full,
// which a browser does for requests of the page's own origin, unless the page has asked for
// it by unsafe-url (Referrer Policy §3). The redirect of an identity provider to http://localhost has
// the provider's origin, or no Referer.
func foreignPage(h http.Header) bool {
	u, err := url.Parse(h.Get("Referer"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || isLoopback(u.Host) {
		return false
	}
	site := h.Get("Sec-Fetch-Site")
	return site == "same-origin" || site == "same-site" || len(u.Path) > 1 || u.RawQuery != ""
}

// isLoopback follows Secure Contexts §3.1: 127.0.0.0/8, [::1], localhost and the
// names below it.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return loopback.Is(host) || strings.HasSuffix(strings.ToLower(host), ".localhost")
}
