package middleware

// CSP is a Content-Security-Policy (CSP3). A list holds sources as the header writes them:
// "'self'", "https://cdn.example", "'sha256-…'"; keywords in single quotes; internationalized
// names may be written in Unicode. A source that is misspelt, contradictory or without effect is
// an error. A host with an underscore is accepted, and has no effect in browsers, since the
// grammar of CSP lacks it: a wildcard over its parent covers it.
//
// The zero value is for an API: a document may load, run, frame and submit nothing, and is also
// sandboxed (ASVS 3.2.1). For pages that load from their own origin only,
// Default: []string{"'self'"} is enough.
//
// object-src is always 'none' (ASVS 3.4.3). Inline scripts are an error: use Nonce, or hashes.
type CSP struct {
	_ [0]func()

	// Default stands for each list of this group that is empty; if it is empty
	// itself: 'none'.
	Default []string
	Script  []string // also 'strict-dynamic', 'wasm-unsafe-eval', 'report-sample' and hashes
	Style   []string // also 'report-sample' and hashes

	// Connect bounds fetch and WebSocket; also data: and blob:. If it, or Default in its place,
	// has 'self' and no wss:// source, wss://<Host> is added for each request, because Safari
	// before 15.4 does not apply 'self' to it; a Host that is not a plain name is left out.
	// Naming the origin here makes the header constant.
	Connect  []string
	Img      []string // Img, Font, Media and Frame: also https:, data: and blob:
	Font     []string
	Media    []string
	Frame    []string
	Worker   []string // also blob:
	Manifest []string

	// These stand before Script and Style: the first two for elements, the others for
	// attributes such as onclick and style. An attribute needs 'none', or hashes together
	// with DangerouslyHashedAttr.
	ScriptElem []string
	StyleElem  []string
	ScriptAttr []string
	StyleAttr  []string

	BaseURI        []string // empty: 'none'
	FormAction     []string // empty: 'self', or 'none' if Default is 'none'
	FrameAncestors []string // empty: 'none'

	// Sandbox has the flags of a sandbox (HTML §7.1.5), as in "allow-downloads". Nil: a sandbox
	// without flags if a document loads nothing under the policy, else no sandbox. Empty but not
	// nil: a sandbox without flags.
	Sandbox []string

	// Nonce adds a nonce to script-src, and to style-src unless Style is 'none' or
	// DangerouslyInlineStyle is set; see [Nonce].
	Nonce bool

	// ReportTo receives the browsers' reports of violations (ASVS 3.4.7): an https URL, or a
	// path on this host. It becomes report-to with its Reporting-Endpoints, and report-uri for
	// browsers without those. Empty: no reports.
	ReportTo string

	// UpgradeInsecureRequests has browsers load the page's http URLs by https (the directive
	// upgrade-insecure-requests).
	UpgradeInsecureRequests bool

	// RequireTrustedTypes closes the DOM's script sinks to strings; TrustedTypes names the policies
	// that a page may create. Empty: none.
	RequireTrustedTypes bool
	TrustedTypes        []string

	DangerouslyEval            bool // 'unsafe-eval' in script-src
	DangerouslyInlineHandlers  bool // 'unsafe-inline' in script-src-attr: onclick and its like
	DangerouslyInlineStyle     bool // 'unsafe-inline' in style-src, which then has no nonce
	DangerouslyInlineStyleAttr bool // 'unsafe-inline' in style-src-attr
	DangerouslyHashedAttr      bool // 'unsafe-hashes' in ScriptAttr and StyleAttr, for the hashes there

	// DangerouslyScriptWildcards lets Default, Script, ScriptElem and Worker hold
	// "https://*.cdn.example": the owner of any name below it can run scripts in the page.
	DangerouslyScriptWildcards bool

	DangerouslyAnyConnect       bool // Connect may hold https: and wss:, every host
	DangerouslyAnyFrameAncestor bool // frame-ancestors *: every page may frame this one
	DangerouslyNoSandbox        bool // none for a policy under which a document loads nothing

	// DangerouslyAllowLocalHTTP lets the lists hold http://localhost, http://127.0.0.1 and,
	// for Connect, ws: with these hosts; any port is ":*". It is for development servers and
	// for programs on the user's machine.
	DangerouslyAllowLocalHTTP bool

	// DangerouslyDirectives has directives that this package does not know, with their
	// values. It cannot tell whether they weaken the policy.
	DangerouslyDirectives map[string][]string
}
