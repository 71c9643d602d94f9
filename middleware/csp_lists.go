package middleware

import "slices"

// lists are all source lists of the configuration.
func (c *CSP) lists() []*[]string {
	return []*[]string{
		&c.Default, &c.Script, &c.ScriptElem, &c.ScriptAttr, &c.Style, &c.StyleElem, &c.StyleAttr, &c.Connect, &c.Img, &c.Font,
		&c.Media, &c.Frame, &c.Worker, &c.Manifest, &c.BaseURI, &c.FormAction, &c.FrameAncestors,
	}
}

// directives are all lists of the configuration, with the sources that each may hold.
func (c *CSP) directives() []cspDirective {
	all := slices.Concat(c.code(), c.attributes(), c.content(), []cspDirective{
		{field: "BaseURI", name: "base-uri", list: c.BaseURI},
		{field: "FormAction", name: "form-action", list: c.FormAction, wildcards: true},
		{field: "FrameAncestors", name: "frame-ancestors", list: c.FrameAncestors, wildcards: true},
	})
	for i := range all {
		all[i].localHTTP = c.DangerouslyAllowLocalHTTP
	}
	return all
}

// code are the lists that other fields add to.
func (c *CSP) code() []cspDirective {
	script := []string{"'strict-dynamic'", "'wasm-unsafe-eval'", "'report-sample'"}
	style := []string{"'report-sample'"}
	wild := c.DangerouslyScriptWildcards
	connect := []string{"data:", "blob:"}
	if c.DangerouslyAnyConnect {
		connect = append(connect, "https:", "wss:")
	}
	return []cspDirective{
		{field: "Default", name: "default-src", list: c.Default, wildcards: wild, scripts: true},
		{field: "Script", name: "script-src", list: c.Script, keywords: script, hashes: true, wildcards: wild, scripts: true},
		{field: "ScriptElem", name: "script-src-elem", list: c.ScriptElem, keywords: script, hashes: true, wildcards: wild, scripts: true},
		{field: "Style", name: "style-src", list: c.Style, keywords: style, hashes: true, wildcards: true},
		{field: "StyleElem", name: "style-src-elem", list: c.StyleElem, keywords: style, hashes: true, wildcards: true},
		{field: "Connect", name: "connect-src", list: c.Connect, schemes: connect, websocket: true, wildcards: true},
	}
}

// attributes are the lists that hold no hosts: an attribute has no address.
func (c *CSP) attributes() []cspDirective {
	sample := []string{"'report-sample'"}
	return []cspDirective{
		{field: "ScriptAttr", name: "script-src-attr", list: c.ScriptAttr, keywords: sample, hashes: true, inline: true},
		{field: "StyleAttr", name: "style-src-attr", list: c.StyleAttr, keywords: sample, hashes: true, inline: true},
	}
}

// content are the lists that are written unchanged.
func (c *CSP) content() []cspDirective {
	images := []string{"https:", "data:", "blob:"}
	return []cspDirective{
		{field: "Img", name: "img-src", list: c.Img, schemes: images, wildcards: true},
		{field: "Font", name: "font-src", list: c.Font, schemes: images, wildcards: true},
		{field: "Media", name: "media-src", list: c.Media, schemes: images, wildcards: true},
		{field: "Frame", name: "frame-src", list: c.Frame, schemes: images, wildcards: true},
		{
			field: "Worker", name: "worker-src", list: c.Worker,
			schemes: []string{"blob:"}, wildcards: c.DangerouslyScriptWildcards, scripts: true,
		},
		{field: "Manifest", name: "manifest-src", list: c.Manifest},
	}
}

// loadsNothing reports whether a document under the policy can load nothing: then
// it is not a page, and a sandbox removes nothing from it.
func (c *CSP) loadsNothing() bool {
	for _, d := range slices.Concat(c.code(), c.attributes(), c.content()) {
		if len(withoutNone(d.list, nil)) > 0 {
			return false
		}
	}
	return !c.Nonce && !c.DangerouslyEval && !c.DangerouslyInlineStyle && !c.DangerouslyInlineStyleAttr && !c.DangerouslyInlineHandlers
}
