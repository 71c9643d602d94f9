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
//	Cache-Control: no-store, unless the handler sets another
//
// It suits an API unchanged; pages need at least CSP.Default. The Cache-Control is for policies
// under which a document loads nothing, and for those with a nonce; see [Headers].
type HeadersConfig struct {
	_ [0]func()

	// CSP is the Content-Security-Policy. X-Frame-Options follows its
	// FrameAncestors: DENY for 'none', SAMEORIGIN for 'self', and for any other
	// list, which that header cannot express, it is left out.
	CSP CSP

	// ReportOnly is a second policy that browsers report on and do not enforce: a stricter one to
	// try out beside CSP. It needs a ReportTo. Nil: none.
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

	// OpenerPolicyReportOnly and EmbedderPolicyReportOnly are policies to try out: browsers report
	// the breakage that they would cause (HTML §7.1.3, §7.1.4). They have the values of
	// OpenerPolicy and EmbedderPolicy, and need IsolationReportTo. Empty: none.
	OpenerPolicyReportOnly   string
	EmbedderPolicyReportOnly string

	// IsolationReportTo receives the reports of the opener and embedder policies: an https
	// URL, or a path on this host. Empty: no reports.
	IsolationReportTo string

	// OriginAgentCluster asks browsers to keep the origin apart from its siblings on the
	// same site (HTML §7.1.2), as `?1`. Every page of the origin must ask for it.
	OriginAgentCluster bool

	// Permissions lists, for a feature of Permissions-Policy, the pages that may use it:
	// "self" and https origins beside it; an empty list denies. Features that are
	// not named keep the preset. An unknown feature is an error. The preset denies only
	// features that Chromium has on every platform, because it warns in the console of
	// every page about one that it does not have: bluetooth, hid, serial and local-fonts are
	// not among them.
	Permissions map[string][]string

	// Proxies says which requests came over TLS, for Strict-Transport-Security. Nil: that of a
	// layer [Proxies.Handler], [RequireTLS] or [RedirectTLS] on either side of Headers; without
	// such a layer, only TLS to this server counts.
	Proxies *Proxies

	// DangerouslyOmit lists header fields of the preset that are not sent, spelled as
	// there: for a proxy in front that adds its own, or a page that one of them breaks.
	DangerouslyOmit []string
}

// Headers sets the security headers of every answer: also of refusals, of panics that an
// inner [Recover] answers, of redirects and of the 101 of a WebSocket. They
// are computed once. It is safe for concurrent use; the zero value is the strict
// preset.
//
// Inside another Headers it replaces all headers of the outer one.
//
// Strict-Transport-Security is sent only over TLS (RFC 6797 §7.2), and not for localhost.
//
// An answer under a policy with a nonce, or under which a document loads nothing, has
// Cache-Control: no-store unless the handler sets another. Errors of other handlers get it from
// [AccessLog], [Recover] or [NewServer], unless they have a Cache-Control.
type Headers struct {
	fixed    []headerField
	absent   []string // managed fields that are not sent
	hsts     []string // nil: omitted
	varies   []varyingPolicy
	proxies  *Proxies
	nonce    bool
	host     bool
	noStore  bool
	compiled bool
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
	h := &Headers{proxies: cfg.Proxies, compiled: true}
	hsts, hstsErr := cfg.hsts()
	h.set(hstsName, hsts)
	h.set("X-Content-Type-Options", "nosniff")
	permissions, permissionsErr := permissionsPolicy(cfg.Permissions)
	h.set("Permissions-Policy", permissions)
	if cfg.OriginAgentCluster {
		h.set("Origin-Agent-Cluster", "?1")
	}
	err := errors.Join(hstsErr, permissionsErr, h.addChoices(&cfg), h.addPolicies(&cfg), h.omit(&cfg))
	if err != nil {
		return nil, err
	}
	h.listAbsent()
	return h, nil
}

func (h *Headers) set(name, value string) {
	h.fixed = append(h.fixed, headerField{name, []string{value}})
}

// addPolicies adds both policies, and the headers that follow from them.
func (h *Headers) addPolicies(cfg *HeadersConfig) error {
	enforced, err := compileCSP(&cfg.CSP, true)
	errs := []error{err}
	h.addPolicy("Content-Security-Policy", enforced)
	endpoints := enforced.endpoint
	if cfg.ReportOnly != nil {
		reportOnly, err := compileCSP(cfg.ReportOnly, false)
		errs = append(errs, err)
		h.addPolicy("Content-Security-Policy-Report-Only", reportOnly)
		endpoints = joinNonEmpty(endpoints, ", ", reportOnly.endpoint)
	}
	if cfg.IsolationReportTo != "" {
		endpoints = joinNonEmpty(endpoints, ", ", isolationGroup+`="`+cfg.IsolationReportTo+`"`)
	}
	if endpoints != "" {
		h.set("Reporting-Endpoints", endpoints)
	}
	if frames := frameOptions(&cfg.CSP); frames != "" {
		h.set("X-Frame-Options", frames)
	}
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

// Handler sets the headers and calls next, which may replace them: an inner Headers does so for
// the routes behind it. They are set before next runs, so that every answer has them.
func (h *Headers) Handler(next http.Handler) http.Handler {
	if h == nil || !h.compiled {
		h, _ = NewHeaders(HeadersConfig{})
	}
	return &layer{next: next, middleware: h.Handler, headers: true, HandlerFunc: func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if len(header) > 0 {
			r = h.replace(header, r)
		}
		for i := range h.fixed {
			header[h.fixed[i].name] = h.fixed[i].values
		}
		if h.noStore && (h.nonce || len(header["Cache-Control"]) == 0) {
			header["Cache-Control"] = notStored
		}
		r = h.setHSTS(header, r)
		switch {
		case h.varies != nil:
			w, r = h.vary(w, r)
		case len(r.Header["Range"]) > 0: // net/http removes the Cache-Control of a 416
			w = counting(w, &countingWriter{})
		}
		next.ServeHTTP(w, r)
	}}
}

// varied has the policies and the writer of one answer in one allocation.
type varied struct {
	policies [2]string
	writer   countingWriter
}

// vary sets the policies that differ from request to request.
func (h *Headers) vary(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	var nonce, host string
	if h.host && isSourceHost(r.Host) {
		host = r.Host
	}
	if h.nonce {
		nonce = newNonce()
		r = r.WithContext(withNonce(r.Context(), nonce))
	}
	v, header := &varied{}, w.Header()
	for i := range h.varies {
		v.policies[i] = h.varies[i].policy.render(nonce, host)
		header[h.varies[i].name] = v.policies[i : i+1 : i+1]
	}
	return counting(w, &v.writer), r
}
