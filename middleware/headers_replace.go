package middleware

import (
	"net/http"
	"slices"
)

// managed are the header fields that belong to the innermost Headers: it sets or removes each,
// whatever an outer layer has set. Strict-Transport-Security and Cache-Control have rules of
// their own.
var managed = [...]string{
	"Content-Security-Policy", "Content-Security-Policy-Report-Only",
	"Cross-Origin-Embedder-Policy", "Cross-Origin-Embedder-Policy-Report-Only",
	"Cross-Origin-Opener-Policy", "Cross-Origin-Opener-Policy-Report-Only", "Cross-Origin-Resource-Policy",
	"Origin-Agent-Cluster", "Permissions-Policy", "Referrer-Policy", "Reporting-Endpoints",
	"X-Content-Type-Options", "X-Frame-Options",
}

// notStored is the default of Cache-Control. Its address tells it from a value that another
// layer has set.
var notStored = []string{"no-store"}

// listAbsent lists the managed fields that h does not send.
func (h *Headers) listAbsent() {
	for _, name := range managed {
		fixed := slices.ContainsFunc(h.fixed, func(f headerField) bool { return f.name == name })
		varies := slices.ContainsFunc(h.varies, func(p varyingPolicy) bool { return p.name == name })
		if !fixed && !varies {
			h.absent = append(h.absent, name)
		}
	}
}

// replace removes what an outer Headers has set and h does not send, the nonce included:
// [Nonce] is that of the policy that is sent.
func (h *Headers) replace(header http.Header, r *http.Request) *http.Request {
	for _, name := range h.absent {
		delete(header, name)
	}
	if v := header["Cache-Control"]; !h.noStore && len(v) > 0 && &v[0] == &notStored[0] {
		delete(header, "Cache-Control")
	}
	if !h.nonce && Nonce(r.Context()) != "" {
		r = r.WithContext(withNonce(r.Context(), ""))
	}
	return r
}
