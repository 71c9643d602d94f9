package middleware

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compileCSP validates everything, then writes the policy.
func compileCSP(given *CSP, enforced bool) (cspPolicy, error) {
	c := *given
	for _, list := range c.lists() {
		*list = asciiSources(*list)
	}
	what, group := "CSP", "csp"
	if !enforced {
		what, group = "ReportOnly", "csp-report-only"
	}
	var errs []error
	for _, d := range c.directives() {
		errs = append(errs, d.check()...)
	}
	for _, rules := range []func() []error{c.scriptRules, c.styleRules, c.attributeRules, c.pageRules, c.trustedTypesRules, c.otherRules} {
		errs = append(errs, rules()...)
	}
	if !enforced {
		errs = append(errs, c.reportOnlyRules()...)
	}
	if c.ReportTo != "" && !isReportURL(c.ReportTo) {
		errs = append(errs, fmt.Errorf("ReportTo: %q is neither an https URL nor a path on this host: write "+
			"\"https://reports.example/csp\" or \"/csp\"", c.ReportTo))
	}
	for i, err := range errs {
		errs[i] = fmt.Errorf("middleware: HeadersConfig.%s.%w", what, err)
	}
	if len(errs) > 0 {
		return cspPolicy{}, errors.Join(errs...)
	}
	return c.write(group, enforced), nil
}

// faults are those of a policy.
type faults []error

func (f *faults) when(found bool, text string) {
	if found {
		*f = append(*f, errors.New(text))
	}
}

func (c *CSP) scriptRules() []error {
	var f faults
	const strictDynamic = "'strict-dynamic'"
	f.when(slices.Contains(c.Script, strictDynamic) && !c.Nonce && !holdsHash(c.Script),
		"Script: 'strict-dynamic' without Nonce or a hash lets no script run: set Nonce")
	f.when(slices.Contains(c.ScriptElem, strictDynamic) && !c.Nonce && !holdsHash(c.ScriptElem),
		"ScriptElem: 'strict-dynamic' without Nonce or a hash lets no script run: set Nonce")
	f.when(isNone(c.Script) && (c.Nonce || c.DangerouslyEval),
		"Script: 'none' contradicts Nonce and DangerouslyEval: leave one out")
	f.when(isNone(c.ScriptElem) && c.Nonce, "ScriptElem: 'none' contradicts Nonce: leave one out")
	wild := slices.ContainsFunc(slices.Concat(c.Default, c.Script, c.ScriptElem, c.Worker),
		func(s string) bool { return strings.Contains(s, "*.") })
	anyHost := slices.Contains(c.Connect, "https:") || slices.Contains(c.Connect, "wss:")
	f.when(c.DangerouslyAnyConnect && !anyHost, "DangerouslyAnyConnect: Connect has neither https: nor wss:: leave it out")
	f.when(c.DangerouslyScriptWildcards && !wild, "DangerouslyScriptWildcards: no list of scripts has a wildcard: leave it out")
	return f
}

func (c *CSP) styleRules() []error {
	var f faults
	inline, attr := c.DangerouslyInlineStyle, c.DangerouslyInlineStyleAttr
	f.when(isNone(c.Style) && inline, "Style: 'none' contradicts DangerouslyInlineStyle: leave one out")
	f.when(inline && holdsHash(c.Style), "DangerouslyInlineStyle: a hash disables it (CSP3 §6.7.3.2): leave it out")
	f.when(inline && len(c.StyleElem) > 0,
		"DangerouslyInlineStyle: StyleElem stands before it: leave that out, or set DangerouslyInlineStyleAttr instead")
	f.when(inline && attr, "DangerouslyInlineStyleAttr: DangerouslyInlineStyle includes it: leave one out")
	f.when(attr && len(c.StyleAttr) > 0, "StyleAttr: it contradicts DangerouslyInlineStyleAttr: leave one out")
	return f
}

func (c *CSP) attributeRules() []error {
	var f faults
	hashed := holdsHash(c.ScriptAttr) || holdsHash(c.StyleAttr)
	f.when(c.DangerouslyInlineHandlers && len(c.ScriptAttr) > 0, "ScriptAttr: it contradicts DangerouslyInlineHandlers: leave one out")
	f.when(hashed && !c.DangerouslyHashedAttr,
		"ScriptAttr, StyleAttr: a hash has no effect on an attribute without 'unsafe-hashes' (CSP3 §6.7.3.3): set DangerouslyHashedAttr")
	f.when(c.DangerouslyHashedAttr && !hashed, "DangerouslyHashedAttr: neither ScriptAttr nor StyleAttr has a hash: leave it out")
	return f
}

// pageRules are about the frames around a document.
func (c *CSP) pageRules() []error {
	var f faults
	f.when(c.DangerouslyAnyFrameAncestor && len(c.FrameAncestors) > 0,
		"FrameAncestors: it contradicts DangerouslyAnyFrameAncestor: leave one out")
	f.when(c.DangerouslyNoSandbox && c.Sandbox != nil, "Sandbox: it contradicts DangerouslyNoSandbox: leave one out")
	f.when(c.DangerouslyNoSandbox && !c.loadsNothing(),
		"DangerouslyNoSandbox: a policy under which a document loads something has none: leave it out")
	for i, flag := range c.Sandbox {
		f.when(!slices.Contains(sandboxFlags, flag), fmt.Sprintf("Sandbox: %q is not a flag (HTML §7.1.5)", flag))
		f.when(slices.Contains(c.Sandbox[:i], flag), fmt.Sprintf("Sandbox: %q is given twice", flag))
	}
	const top = "allow-top-navigation"
	f.when(slices.Contains(c.Sandbox, top) && slices.Contains(c.Sandbox, top+"-by-user-activation"),
		"Sandbox: allow-top-navigation includes allow-top-navigation-by-user-activation: leave one out")
	return f
}

// sandboxFlags are those of HTML §7.1.5.
var sandboxFlags = []string{
	"allow-downloads", "allow-forms", "allow-modals", "allow-orientation-lock", "allow-pointer-lock", "allow-popups",
	"allow-popups-to-escape-sandbox", "allow-presentation", "allow-same-origin", "allow-scripts", "allow-top-navigation",
	"allow-top-navigation-by-user-activation", "allow-top-navigation-to-custom-protocols",
}

func (c *CSP) trustedTypesRules() []error {
	var f faults
	f.when(len(c.TrustedTypes) > 0 && !c.RequireTrustedTypes, "TrustedTypes: it has no effect without RequireTrustedTypes: set that, too")
	for i, name := range c.TrustedTypes {
		f.when(!isTrustedTypeName(name), fmt.Sprintf("TrustedTypes: %q is not a policy name (Trusted Types §4.1)", name))
		f.when(slices.Contains(c.TrustedTypes[:i], name), fmt.Sprintf("TrustedTypes: %q is given twice", name))
	}
	return f
}

// knownDirectives have fields of their own; object-src is always 'none'.
var knownDirectives = []string{
	"base-uri", "connect-src", "default-src", "font-src", "form-action", "frame-ancestors", "frame-src", "img-src", "manifest-src",
	"media-src", "object-src", "report-to", "report-uri", "require-trusted-types-for", "sandbox", "script-src", "script-src-attr",
	"script-src-elem", "style-src", "style-src-attr", "style-src-elem", "trusted-types", "upgrade-insecure-requests", "worker-src",
}

// otherRules follow the grammar of directives (CSP3 §2.3).
func (c *CSP) otherRules() []error {
	var f faults
	for _, name := range slices.Sorted(maps.Keys(c.DangerouslyDirectives)) {
		where := fmt.Sprintf("DangerouslyDirectives: %q: ", name)
		f.when(name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "",
			where+"a name has lower-case letters, digits and hyphens")
		f.when(slices.Contains(knownDirectives, name), where+"it has a field of its own, or is always 'none'")
		for _, value := range c.DangerouslyDirectives[name] {
			f.when(value == "" || strings.ContainsFunc(value, endsSource),
				where+fmt.Sprintf("%q is empty, or holds a space, a separator or a character outside ASCII", value))
		}
	}
	return f
}

// reportOnlyRules are those of a policy that is not enforced.
func (c *CSP) reportOnlyRules() []error {
	var f faults
	f.when(c.ReportTo == "", "ReportTo: required: name the URL that receives the reports")
	f.when(c.UpgradeInsecureRequests, "UpgradeInsecureRequests: it has no effect in a report-only policy: set it in CSP")
	f.when(c.Sandbox != nil || c.DangerouslyNoSandbox, "Sandbox: it has no effect in a report-only policy (CSP3 §6.3.2): set it in CSP")
	return f
}

func isNone(list []string) bool { return slices.Contains(list, "'none'") }

func holdsHash(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, "'sha") })
}
