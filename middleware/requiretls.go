package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/securews/securews/internal/opening"
)

// RequireTLS refuses requests that did not come over TLS ([Proxies.Secure]): 403
// `tls_required` (ASVS 4.4.1, 4.1.2). It does not redirect: a client that is redirected
// to https has already shown its credential to the network, and the mistake stays unnoticed.
// Browsers do not follow a redirect of a handshake.
//
// A nil p trusts no header: only TLS to this server counts.
func RequireTLS(p *Proxies) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !p.Secure(r) {
				Refuse(w, r, tlsRefusal())
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// RedirectTLS is [RequireTLS] for the pages of a site: a GET or HEAD that asks for
// HTML is sent to the same place on https (308) when its Host is on the list, so
// that it is not an open redirect. It refuses a Host that is not on the list. It refuses
// handshakes, other methods and requests that do not ask for HTML as RequireTLS does:
// ASVS 4.1.2 allows redirects only for pages that a user opens. (Browsers send no
// Sec-Fetch-Dest without TLS.)
func RedirectTLS(p *Proxies, hosts *HostPolicy) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case p.Secure(r):
				next.ServeHTTP(w, r)
			case !asksForDocument(r):
				Refuse(w, r, tlsRefusal())
			default:
				if err := hosts.Check(r); err != nil {
					Refuse(w, r, err)
					return
				}
				u := url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
				http.Redirect(w, r, u.String(), http.StatusPermanentRedirect)
			}
		})
	}
}

func asksForDocument(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || opening.IsHandshake(r) || r.URL.Opaque != "" {
		return false
	}
	return strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "text/html")
}

func tlsRefusal() error {
	return &Refusal{Status: http.StatusForbidden, Reason: ReasonTLSRequired, Err: errors.New("middleware: RequireTLS: the request came without TLS: behind a proxy that ends TLS, name it in ProxiesConfig.Trusted")}
}
