package middleware

import (
	"errors"
	"net/http"
	"time"
)

// HeadersConfig configures the security headers that every answer carries. The zero value is
// the strict preset:
//
//	Strict-Transport-Security: max-age=63072000; includeSubDomains
//	Content-Security-Policy: the zero [CSP], under which a document loads nothing
//	X-Frame-Options: DENY
//	X-Content-Type-Options: nosniff
//	Referrer-Policy: same-origin
//	Cross-Origin-Opener-Policy: same-origin
//	Cross-Origin-Resource-Policy: same-origin
//	Permissions-Policy: the powerful features, each denied
//
// It suits an API unchanged; pages need at least CSP.Default.
type HeadersConfig struct {
	_ [0]func()

	// CSP is the Content-Security-Policy. X-Frame-Options follows its
	// FrameAncestors: DENY for 'none', SAMEORIGIN for 'self', and for any other
	// list, which that header cannot express, it is left out.
	CSP CSP

	// ReportOnly is a second policy that browsers report on and do not enforce: a
	// stricter one to try out beside CSP. It needs a ReportTo.
	ReportOnly *CSP

	// HSTS is the max-age of Strict-Transport-Security (RFC 6797 §6.1.1), in whole
	// seconds; zero: two years. Less than a year is an error (ASVS 3.4.1).
	HSTS time.Duration

	// HSTSThisHostOnly leaves includeSubDomains out.
	HSTSThisHostOnly bool

	// HSTSPreload declares that the site may be put on the browsers' lists
	// (https://hstspreload.org), which takes months to undo. The lists require an HSTS of
	// a year and every subdomain.
	HSTSPreload bool

	// DangerouslyShortHSTS permits an HSTS of less than a year, for the first days
	// of a site that moves to HTTPS.
	DangerouslyShortHSTS bool

	// ReferrerPolicy is "same-origin", "no-referrer", "strict-origin" or
	// "strict-origin-when-cross-origin"; empty: "same-origin". Under "no-referrer"
	// browsers send `Origin: null` with the forms of the site's own pages (Fetch,
	// "append a request Origin header"), and every origin check refuses them.
	ReferrerPolicy string

	// OpenerPolicy is "same-origin", "same-origin-allow-popups" (for sign-in
	// windows of other sites) or "noopener-allow-popups"; empty: "same-origin".
	OpenerPolicy string

	// ResourcePolicy names the pages that may embed an answer: "same-origin", "same-site" or
	// "cross-origin"; empty: "same-origin".
	ResourcePolicy string

	// EmbedderPolicy is "require-corp" or "credentialless"; empty: the header is
	// left out, as it breaks third-party content that has not opted in.
	EmbedderPolicy string

	// Permissions lists, for a feature of Permissions-Policy, the pages that may use it:
	// "self" and https origins beside it; an empty list denies. Features that are
	// not named keep the preset. An unknown feature is an error.
	Permissions map[string][]string
}

// Headers sets the security headers of every answer: also of refusals, of panics that an
// inner [Recover] answers, of redirects and of the 101 of a WebSocket. They
// are computed once. It is safe for concurrent use; the zero value is the strict
// preset.
type Headers struct {
	fixed  []headerField
	varies []varyingPolicy
	nonce  bool
	host   bool
}

// headerField is a header whose values every answer shares: an inner layer
// replaces or appends, and never writes into the slice.
type headerField struct {
	name   string
	values []string
}

type varyingPolicy struct {
	name   string
	policy cspPolicy
}

// NewHeaders compiles the configuration. Its error joins all that is wrong with it.
func NewHeaders(cfg HeadersConfig) (*Headers, error) {
	h := &Headers{}
	var errs []error
	choose := func(field, name, given string, choices ...string) {
		value, err := chooseHeader(field, given, choices)
		errs = append(errs, err)
		if value != "" {
			h.set(name, value)
		}
	}
	hsts, err := cfg.hsts()
	errs = append(errs, err)
	h.set("Strict-Transport-Security", hsts)
	h.set("X-Content-Type-Options", "nosniff")
	choose("ReferrerPolicy", "Referrer-Policy", cfg.ReferrerPolicy, "same-origin", "no-referrer", "strict-origin", "strict-origin-when-cross-origin")
	choose("OpenerPolicy", "Cross-Origin-Opener-Policy", cfg.OpenerPolicy, "same-origin", "same-origin-allow-popups", "noopener-allow-popups")
	choose("ResourcePolicy", "Cross-Origin-Resource-Policy", cfg.ResourcePolicy, "same-origin", "same-site", "cross-origin")
	choose("EmbedderPolicy", "Cross-Origin-Embedder-Policy", cfg.EmbedderPolicy, "", "require-corp", "credentialless")
	permissions, err := permissionsPolicy(cfg.Permissions)
	errs = append(errs, err, h.addPolicies(cfg))
	h.set("Permissions-Policy", permissions)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Headers) set(name, value string) {
	h.fixed = append(h.fixed, headerField{name, []string{value}})
}

// addPolicies adds both policies, and the headers that follow from them.
func (h *Headers) addPolicies(cfg HeadersConfig) error {
	enforced, err := compileCSP(&cfg.CSP, true)
	errs := []error{err}
	h.addPolicy("Content-Security-Policy", enforced)
	endpoints := enforced.endpoint
	if cfg.ReportOnly != nil {
		trial, err := compileCSP(cfg.ReportOnly, false)
		errs = append(errs, err)
		h.addPolicy("Content-Security-Policy-Report-Only", trial)
		endpoints = joinNonEmpty(endpoints, ", ", trial.endpoint)
	}
	if endpoints != "" {
		h.set("Reporting-Endpoints", endpoints)
	}
	h.fixed = append(h.fixed, headerField{"X-Frame-Options", frameOptions(cfg.CSP.FrameAncestors)})
	return errors.Join(errs...)
}

func (h *Headers) addPolicy(name string, p cspPolicy) {
	if !p.varies() {
		h.set(name, p.text())
		return
	}
	h.varies = append(h.varies, varyingPolicy{name, p})
	h.nonce = h.nonce || p.nonce
	h.host = h.host || p.host
}

// frameOptions is frame-ancestors for browsers without CSP
// (RFC 7034 §2.1). Nil removes the header, even if an outer layer has set one.
func frameOptions(ancestors []string) []string {
	switch {
	case len(ancestors) == 0, len(ancestors) == 1 && ancestors[0] == "'none'":
		return []string{"DENY"}
	case len(ancestors) == 1 && ancestors[0] == "'self'":
		return []string{"SAMEORIGIN"}
	}
	return nil
}

// Handler sets the headers and calls next, which may replace them: an inner Headers
// does so for the routes behind it. They are set before next runs, so that every
// answer has them.
func (h *Headers) Handler(next http.Handler) http.Handler {
	if h == nil || h.fixed == nil {
		h, _ = NewHeaders(HeadersConfig{})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		for i := range h.fixed {
			header[h.fixed[i].name] = h.fixed[i].values
		}
		if h.varies != nil {
			r = h.vary(header, r)
		}
		next.ServeHTTP(w, r)
	})
}

// vary sets the policies that differ from request to request.
func (h *Headers) vary(header http.Header, r *http.Request) *http.Request {
	var nonce, host string
	if h.host && isSourceHost(r.Host) {
		host = r.Host
	}
	if h.nonce {
		nonce = newNonce()
		r = r.WithContext(withNonce(r.Context(), nonce))
	}
	for i := range h.varies {
		header[h.varies[i].name] = []string{h.varies[i].policy.render(nonce, host)}
	}
	return r
}
