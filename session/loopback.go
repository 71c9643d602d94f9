package session

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/securews/securews/middleware"
)

// checkLocal refuses a request that DangerouslyAllowLocalHTTP is not for. A deployment
// that left it set learns that from its first request, not from its first stolen cookie.
func checkLocal(r *http.Request) error {
	refuse := func(text string) error {
		return &middleware.Refusal{
			Status: http.StatusMisdirectedRequest, Reason: middleware.ReasonHostNotAllowed,
			Err: errors.New("session: DangerouslyAllowLocalHTTP serves http://localhost only: " + text),
		}
	}
	if r.TLS != nil {
		return refuse("the request came over TLS")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header[name] != nil {
			return refuse("the request came through a proxy")
		}
	}
	if !isLoopback(r.Host) {
		return refuse("the request is for another host")
	}
	// A proxy that rewrites Host and adds nothing still passes this on.
	for _, origin := range r.Header["Origin"] {
		if u, err := url.Parse(origin); origin != "null" && (err != nil || !isLoopback(u.Host)) {
			return refuse("the page is of another host")
		}
	}
	return nil
}

// isLoopback follows Secure Contexts §3.1: 127.0.0.0/8, [::1], localhost and the
// names below it.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
