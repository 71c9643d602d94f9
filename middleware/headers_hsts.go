package middleware

import (
	"context"
	"net/http"
	"strings"
)

const hstsName = "Strict-Transport-Security"

type hstsKey struct{}

// setHSTS sets Strict-Transport-Security if the request came over TLS, and removes that of an
// outer layer otherwise: RFC 6797 §7.2 forbids it without secure transport. A Proxies of the
// layers behind may still find TLS that is not known here, and finds the value in the context;
// only a request that was forwarded pays for that.
func (h *Headers) setHSTS(header http.Header, r *http.Request) *http.Request {
	p, known := h.proxies, h.proxies != nil
	if !known {
		if x, ok := r.Context().Value(proxiedKey{}).(*proxied); ok {
			p, known = x.by, true
		}
	}
	secure := r.TLS != nil
	if known {
		secure = p.Secure(r)
	}
	if secure && h.hsts != nil && !namesLocalhost(p.Host(r)) {
		header[hstsName] = h.hsts
		return r
	}
	delete(header, hstsName)
	if known || secure || forwardedBy(r) == "" {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), hstsKey{}, h))
}

// tellHeaders tells the Headers around whether a Proxies behind it has found TLS.
func tellHeaders(w http.ResponseWriter, r *http.Request, p *Proxies, secure bool) {
	if !secure {
		if r.TLS != nil { // it was taken for the client's
			delete(w.Header(), hstsName)
		}
		return
	}
	h, ok := r.Context().Value(hstsKey{}).(*Headers)
	if ok && h.hsts != nil && !namesLocalhost(p.Host(r)) {
		w.Header()[hstsName] = h.hsts
	}
}

// namesLocalhost reports whether host[:port] is localhost or a name below it (RFC 6761 §6.3).
// HSTS would reach every program on the developer's machine, whatever its port (RFC 6797
// §8.3). User agents ignore it for an IP address (§8.1.1).
func namesLocalhost(host string) bool {
	const name = "localhost"
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > len(name) && host[len(host)-len(name)-1] == '.' {
		host = host[len(host)-len(name):]
	}
	return strings.EqualFold(host, name)
}
