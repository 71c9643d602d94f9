package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CSP is a Content-Security-Policy (CSP3). A list holds sources as the header
// writes them: "'self'", "https://cdn.example", "'sha256-…'"; keywords in single
// quotes. A source that is misspelt, contradictory or without effect is an error.
//
// The zero value is for an API: a document may load, run, frame
// and submit nothing, and is also sandboxed (ASVS 3.2.1). For pages that load
// from their own origin only, Default: []string{"'self'"} is enough.
//
// object-src is always 'none' (ASVS 3.4.3). Inline scripts and wildcards for scripts
// are errors: use Nonce, or hashes.
type CSP struct {
	_ [0]func()

	// Default stands for each list of this group that is empty; if it is empty
	// itself: 'none'.
	Default []string
	Script  []string // also 'strict-dynamic', 'wasm-unsafe-eval', 'report-sample' and hashes
	Style   []string // also 'report-sample' and hashes

	// Connect bounds fetch and WebSocket. If it, or Default in its place, has 'self' and no
	// wss:// source, wss://<Host> is added for each request, because Safari before 15.4
	// does not apply 'self' to it; a Host that is not a plain name is left out.
	// Naming the origin here makes the header constant.
	Connect  []string
	Img      []string // Img, Font and Media: also https:, data: and blob:
	Font     []string
	Media    []string
	Frame    []string
	Worker   []string // also blob:
	Manifest []string

	BaseURI        []string // empty: 'none'
	FormAction     []string // empty: 'self', or 'none' if Default is 'none'
	FrameAncestors []string // empty: 'none'

	// Nonce adds a nonce to script-src, and to style-src unless Style is 'none';
	// see [Nonce].
	Nonce bool

	// ReportTo receives the browsers' reports of violations (ASVS 3.4.7): an https URL, or a
	// path on this host. It becomes report-to with its Reporting-Endpoints, and
	// report-uri for browsers without those.
	ReportTo string

	UpgradeInsecureRequests bool

	// RequireTrustedTypes closes the DOM's script sinks to strings; TrustedTypes
	// names the policies a page may create.
	RequireTrustedTypes bool
	TrustedTypes        []string

	DangerouslyEval        bool // 'unsafe-eval' in script-src
	DangerouslyInlineStyle bool // 'unsafe-inline' in style-src; not beside Nonce, which disables it
}

// compileCSP validates everything, then writes the policy.
func compileCSP(c *CSP, enforced bool) (cspPolicy, error) {
	var errs []error
	what, group := "CSP", "csp"
	if !enforced {
		what, group = "ReportOnly", "csp-report-only"
		if c.ReportTo == "" {
			errs = append(errs, errors.New("ReportTo: required: name the URL that receives the reports"))
		}
		if c.UpgradeInsecureRequests {
			errs = append(errs, errors.New("UpgradeInsecureRequests: it has no effect in a report-only policy: set it in CSP"))
		}
	}
	for _, d := range c.directives() {
		errs = append(errs, d.check()...)
	}
	errs = append(errs, c.jointRules()...)
	if c.ReportTo != "" && !isReportURL(c.ReportTo) {
		errs = append(errs, fmt.Errorf("ReportTo: %q is neither an https URL nor a path on this host: write \"https://reports.example/csp\" or \"/csp\"", c.ReportTo))
	}
	for i, err := range errs {
		errs[i] = fmt.Errorf("middleware: HeadersConfig.%s.%w", what, err)
	}
	if len(errs) > 0 {
		return cspPolicy{}, errors.Join(errs...)
	}
	return c.write(group, enforced), nil
}

// directives are all lists of the configuration, with the sources that each may hold.
func (c *CSP) directives() []cspDirective {
	return slices.Concat(c.code(), c.content(), []cspDirective{
		{field: "BaseURI", name: "base-uri", list: c.BaseURI},
		{field: "FormAction", name: "form-action", list: c.FormAction, wildcards: true},
		{field: "FrameAncestors", name: "frame-ancestors", list: c.FrameAncestors, wildcards: true},
	})
}

// code are the lists that other fields add to.
func (c *CSP) code() []cspDirective {
	return []cspDirective{
		{field: "Default", name: "default-src", list: c.Default},
		{field: "Script", name: "script-src", list: c.Script, keywords: []string{"'strict-dynamic'", "'wasm-unsafe-eval'", "'report-sample'"}, hashes: true},
		{field: "Style", name: "style-src", list: c.Style, keywords: []string{"'report-sample'"}, hashes: true, wildcards: true},
		{field: "Connect", name: "connect-src", list: c.Connect, websocket: true, wildcards: true},
	}
}

// content are the lists that are written unchanged.
func (c *CSP) content() []cspDirective {
	images := []string{"https:", "data:", "blob:"}
	return []cspDirective{
		{field: "Img", name: "img-src", list: c.Img, schemes: images, wildcards: true},
		{field: "Font", name: "font-src", list: c.Font, schemes: images, wildcards: true},
		{field: "Media", name: "media-src", list: c.Media, schemes: images, wildcards: true},
		{field: "Frame", name: "frame-src", list: c.Frame, wildcards: true},
		{field: "Worker", name: "worker-src", list: c.Worker, schemes: []string{"blob:"}},
		{field: "Manifest", name: "manifest-src", list: c.Manifest},
	}
}

// jointRules finds the contradictions between fields.
func (c *CSP) jointRules() []error {
	var errs []error
	fail := func(text string) { errs = append(errs, errors.New(text)) }
	hashed := slices.ContainsFunc(c.Script, func(s string) bool { return strings.HasPrefix(s, "'sha") })
	if slices.Contains(c.Script, "'strict-dynamic'") && !c.Nonce && !hashed {
		fail("Script: 'strict-dynamic' without Nonce or a hash lets no script run: set Nonce")
	}
	if isNone(c.Script) && (c.Nonce || c.DangerouslyEval) {
		fail("Script: 'none' contradicts Nonce and DangerouslyEval: leave one out")
	}
	if isNone(c.Style) && c.DangerouslyInlineStyle {
		fail("Style: 'none' contradicts DangerouslyInlineStyle: leave one out")
	}
	hashed = slices.ContainsFunc(c.Style, func(s string) bool { return strings.HasPrefix(s, "'sha") })
	if c.DangerouslyInlineStyle && (c.Nonce || hashed) {
		fail("DangerouslyInlineStyle: a nonce or a hash disables it (CSP3 §6.7.3.2): leave it out")
	}
	if len(c.TrustedTypes) > 0 && !c.RequireTrustedTypes {
		fail("TrustedTypes: it has no effect without RequireTrustedTypes: set that, too")
	}
	for i, name := range c.TrustedTypes {
		if !isTrustedTypeName(name) {
			fail(fmt.Sprintf("TrustedTypes: %q is not a policy name (Trusted Types §4.1)", name))
		}
		if slices.Contains(c.TrustedTypes[:i], name) {
			fail(fmt.Sprintf("TrustedTypes: %q is given twice", name))
		}
	}
	return errs
}

func isNone(list []string) bool { return slices.Contains(list, "'none'") }
