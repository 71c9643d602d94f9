package middleware

import (
	"slices"
	"strings"
)

// cspPolicy is the text of a policy, with holes for the values of a request.
type cspPolicy struct {
	parts    []cspPart
	nonce    bool   // needs a nonce
	host     bool   // names the request's host
	endpoint string // member of Reporting-Endpoints
}

// cspPart is text, and the hole behind it.
type cspPart struct {
	text string
	hole cspHole
}

type cspHole uint8

const (
	holeNothing cspHole = iota
	holeNonce           // ` 'nonce-…'`
	holeHost            // ` wss://…`, or nothing for a host that cannot be named
)

func (p *cspPolicy) varies() bool { return p.nonce || p.host }

// text is the text of a policy that does not vary.
func (p *cspPolicy) text() string { return p.render("", "") }

func (p *cspPolicy) render(nonce, host string) string {
	const aroundNonce, beforeHost = len(` 'nonce-'`), len(" wss://")
	size := 0
	for i := range p.parts {
		size += len(p.parts[i].text) + max(aroundNonce+len(nonce), beforeHost+len(host))
	}
	var b strings.Builder
	b.Grow(size)
	for i := range p.parts {
		b.WriteString(p.parts[i].text)
		switch p.parts[i].hole {
		case holeNonce:
			b.WriteString(" 'nonce-")
			b.WriteString(nonce)
			b.WriteByte('\'')
		case holeHost:
			if host != "" {
				b.WriteString(" wss://")
				b.WriteString(host)
			}
		}
	}
	return b.String()
}

// cspWriter gathers directives into parts.
type cspWriter struct {
	policy cspPolicy
	text   strings.Builder
}

func (w *cspWriter) directive(name string, sources ...string) {
	if w.text.Len() > 0 || len(w.policy.parts) > 0 {
		w.text.WriteString("; ")
	}
	w.text.WriteString(name)
	for _, s := range sources {
		w.text.WriteByte(' ')
		w.text.WriteString(s)
	}
}

func (w *cspWriter) hole(h cspHole) {
	w.policy.parts = append(w.policy.parts, cspPart{w.text.String(), h})
	w.policy.nonce = w.policy.nonce || h == holeNonce
	w.policy.host = w.policy.host || h == holeHost
	w.text.Reset()
}

func (w *cspWriter) finish() cspPolicy {
	w.policy.parts = append(w.policy.parts, cspPart{w.text.String(), holeNothing})
	return w.policy
}

// write returns the policy of a validated configuration. A sandbox has no effect in a
// policy that is not enforced (CSP3 §6.3.2).
func (c *CSP) write(group string, enforced bool) cspPolicy {
	w := &cspWriter{}
	w.directive("default-src", orElse(c.Default, "'none'")...)
	c.writeScripts(w)
	c.writeConnect(w)
	for _, d := range c.content() {
		if len(d.list) > 0 {
			w.directive(d.name, d.list...)
		}
	}
	form := "'self'"
	if len(somethingOf(c.Default, nil)) == 0 {
		form = "'none'"
	}
	w.directive("object-src", "'none'")
	w.directive("base-uri", orElse(c.BaseURI, "'none'")...)
	w.directive("form-action", orElse(c.FormAction, form)...)
	w.directive("frame-ancestors", orElse(c.FrameAncestors, "'none'")...)
	c.writeFlags(w)
	if enforced && c.loadsNothing() {
		w.directive("sandbox")
	}
	if c.ReportTo != "" {
		w.directive("report-uri", c.ReportTo)
		w.directive("report-to", group)
		w.policy.endpoint = group + `="` + c.ReportTo + `"`
	}
	return w.finish()
}

// writeScripts writes script-src and style-src if they differ from default-src.
func (c *CSP) writeScripts(w *cspWriter) {
	if len(c.Script) > 0 || c.Nonce || c.DangerouslyEval {
		list := somethingOf(c.Script, c.Default)
		if c.DangerouslyEval {
			list = append(list, "'unsafe-eval'")
		}
		w.directive("script-src", list...)
		if c.Nonce {
			w.hole(holeNonce)
		} else if len(list) == 0 {
			w.text.WriteString(" 'none'")
		}
	}
	if len(c.Style) > 0 || c.Nonce || c.DangerouslyInlineStyle {
		list := somethingOf(c.Style, c.Default)
		if c.DangerouslyInlineStyle {
			list = append(list, "'unsafe-inline'")
		}
		switch {
		case isNone(c.Style), len(list) == 0 && !c.Nonce:
			w.directive("style-src", "'none'")
		case c.Nonce:
			w.directive("style-src", list...)
			w.hole(holeNonce)
		default:
			w.directive("style-src", list...)
		}
	}
}

func (c *CSP) writeConnect(w *cspWriter) {
	list := c.Connect
	if len(list) == 0 {
		list = c.Default
	}
	named := slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "wss://") })
	switch perHost := slices.Contains(list, "'self'") && !named; {
	case perHost:
		w.directive("connect-src", list...)
		w.hole(holeHost)
	case len(c.Connect) > 0:
		w.directive("connect-src", list...)
	}
}

func (c *CSP) writeFlags(w *cspWriter) {
	if c.UpgradeInsecureRequests {
		w.directive("upgrade-insecure-requests")
	}
	if c.RequireTrustedTypes {
		w.directive("require-trusted-types-for", "'script'")
		w.directive("trusted-types", orElse(c.TrustedTypes, "'none'")...)
	}
}

// loadsNothing reports whether a document under the policy can load nothing: then
// it is not a page, and a sandbox removes nothing from it.
func (c *CSP) loadsNothing() bool {
	for _, d := range slices.Concat(c.code(), c.content()) {
		if len(somethingOf(d.list, nil)) > 0 {
			return false
		}
	}
	return !c.Nonce && !c.DangerouslyEval && !c.DangerouslyInlineStyle
}

func orElse(list []string, otherwise string) []string {
	if len(list) == 0 {
		return []string{otherwise}
	}
	return list
}

// somethingOf returns a copy of the list, or of the fallback if it is empty,
// without 'none'.
func somethingOf(list, fallback []string) []string {
	if len(list) == 0 {
		list = fallback
	}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "'none'" })
}
