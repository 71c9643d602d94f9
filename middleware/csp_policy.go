package middleware

import (
	"maps"
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

// sources writes a list, and the nonce behind it; 'none' if both are missing.
func (w *cspWriter) sources(name string, list []string, nonce bool) {
	if len(list) == 0 && !nonce {
		list = []string{"'none'"}
	}
	w.directive(name, list...)
	if nonce {
		w.hole(holeNonce)
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
	c.writeStyles(w)
	c.writeConnect(w)
	for _, d := range c.content() {
		if len(d.list) > 0 {
			w.directive(d.name, d.list...)
		}
	}
	form, frame := "'self'", "'none'"
	if len(withoutNone(c.Default, nil)) == 0 {
		form = "'none'"
	}
	if c.DangerouslyAnyFrameAncestor {
		frame = "*"
	}
	w.directive("object-src", "'none'")
	w.directive("base-uri", orElse(c.BaseURI, "'none'")...)
	w.directive("form-action", orElse(c.FormAction, form)...)
	w.directive("frame-ancestors", orElse(c.FrameAncestors, frame)...)
	c.writeFlags(w)
	if enforced && (c.Sandbox != nil || c.loadsNothing() && !c.DangerouslyNoSandbox) {
		w.directive("sandbox", c.Sandbox...)
	}
	for _, name := range slices.Sorted(maps.Keys(c.DangerouslyDirectives)) {
		w.directive(name, c.DangerouslyDirectives[name]...)
	}
	if c.ReportTo != "" {
		w.directive("report-uri", c.ReportTo)
		w.directive("report-to", group)
		w.policy.endpoint = group + `="` + c.ReportTo + `"`
	}
	return w.finish()
}

// writeScripts writes script-src if it differs from default-src, and the directives that take
// precedence over it.
func (c *CSP) writeScripts(w *cspWriter) {
	if len(c.Script) > 0 || c.Nonce || c.DangerouslyEval {
		list := withoutNone(c.Script, c.Default)
		if c.DangerouslyEval {
			list = append(list, "'unsafe-eval'")
		}
		w.sources("script-src", list, c.Nonce)
	}
	if len(c.ScriptElem) > 0 {
		w.sources("script-src-elem", withoutNone(c.ScriptElem, nil), c.Nonce)
	}
	c.writeAttribute(w, "script-src-attr", c.ScriptAttr, c.DangerouslyInlineHandlers)
}

// writeStyles does the same for style-src. A nonce would disable 'unsafe-inline'
// (CSP3 §6.7.3.2).
func (c *CSP) writeStyles(w *cspWriter) {
	if len(c.Style) > 0 || c.Nonce || c.DangerouslyInlineStyle {
		list := withoutNone(c.Style, c.Default)
		switch {
		case isNone(c.Style):
			list = nil
		case c.DangerouslyInlineStyle:
			list = append(list, "'unsafe-inline'")
		}
		w.sources("style-src", list, c.Nonce && !isNone(c.Style) && !c.DangerouslyInlineStyle)
	}
	if len(c.StyleElem) > 0 {
		w.sources("style-src-elem", withoutNone(c.StyleElem, nil), c.Nonce && !isNone(c.StyleElem))
	}
	c.writeAttribute(w, "style-src-attr", c.StyleAttr, c.DangerouslyInlineStyleAttr)
}

func (c *CSP) writeAttribute(w *cspWriter, name string, list []string, inline bool) {
	switch {
	case inline:
		w.directive(name, "'unsafe-inline'")
	case holdsHash(list):
		w.directive(name, append([]string{"'unsafe-hashes'"}, list...)...)
	case len(list) > 0:
		w.directive(name, list...)
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

func orElse(list []string, otherwise string) []string {
	if len(list) == 0 {
		return []string{otherwise}
	}
	return list
}

// withoutNone returns a copy of the list without 'none', or of the fallback if the list is empty.
func withoutNone(list, fallback []string) []string {
	if len(list) == 0 {
		list = fallback
	}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "'none'" })
}
