package middleware_test

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dangerous has every identifier by which a user of this module weakens it, and the
// consequence. `grep -rni dangerously` finds them in an application.
var dangerous = map[string]string{
	"middleware.DangerouslyAnyOrigin":             "every page may open a WebSocket and send unsafe methods",
	"middleware.DangerouslyAllowLocalHTTP":        "a page on this machine without TLS may, which any local program can serve",
	"middleware.DangerouslyAcrossTenants":         "a page of one subdomain acts at the hosts of others, with the user's cookies there",
	"middleware.DangerouslyShortHSTS":             "browsers forget soon that the site is on TLS (ASVS 3.4.1)",
	"middleware.DangerouslyAnyConnect":            "scripts may send data to every host",
	"middleware.DangerouslyAnyFrameAncestor":      "every page may frame this one and draw over it (clickjacking)",
	"middleware.DangerouslyDirectives":            "directives whose effect is not checked",
	"middleware.DangerouslyHashedAttr":            "injected markup may use the handlers and styles that have a hash (CSP3 §6.1.11)",
	"middleware.DangerouslyInlineHandlers":        "injected markup may run scripts in its attributes",
	"middleware.DangerouslyInlineStyleAttr":       "injected markup may style itself",
	"middleware.DangerouslyLogPanicText":          "the log has the texts of panics, with the secrets and payloads in them (ASVS 16.2.5)",
	"middleware.DangerouslyNoSandbox":             "an answer that a browser shows as a document belongs to this origin (ASVS 3.2.1)",
	"middleware.DangerouslyOmit":                  "answers lack a header of the preset (ASVS 3.4)",
	"middleware.DangerouslyScriptWildcards":       "every name below a domain may run scripts in the page",
	"middleware.DangerouslyEval":                  "scripts may run text as code (CSP3 §6.1.11)",
	"middleware.DangerouslyInlineStyle":           "injected markup may style the page, and read it by selectors",
	"middleware/bearer.DangerouslyAllowLocalHTTP": "any local program that takes the issuer's port can issue tokens",
	"session.DangerouslyAllowLocalHTTP":           "the session cookie is sent without TLS on this machine",
	"session.DangerouslyEmbedded":                 "pages of every site may send requests with the session; only origin checks refuse them",
	"ws.DangerouslyAllowPlaintext":                "handshakes and messages cross the network without TLS",
	"ws/redial.DangerouslyAllowLocalHTTP":         "the client sends its credential without TLS to this machine",
	"ws/seal.DangerouslyOptional":                 "an attacker who changes the handshake turns payload encryption off",
	"ws/browser/src: dangerouslyOptional":         "an attacker who changes the handshake turns payload encryption off",
	"ws/browser/src: dangerouslyAllowLocalHTTP":   "the page sends its credential without TLS to this machine",
}

// meek has the names that a weakening must not have in place of Dangerously.
var meek = regexp.MustCompile(`^(Dev|AllowLocal|Insecure|Unsafe|Skip|Preferred)([A-Z]|$)`)

func TestDangerouslyIsComplete(t *testing.T) {
	found := map[string]bool{}
	for _, f := range readModule(t).files {
		for _, name := range f.exported() {
			if strings.HasPrefix(name.Name, "Dangerously") {
				found[f.pkg+"."+name.Name] = true
			}
			if meek.MatchString(name.Name) && !strings.HasPrefix(f.pkg, "internal/") {
				t.Error(f.at(name.Pos(), "%s: a weakening is named Dangerously…", name.Name))
			}
		}
	}
	for name := range dangerousInTypeScript(t) {
		found["ws/browser/src: "+name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if dangerous[name] == "" {
			t.Errorf("%s is not in the list: add it, with its consequence", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dangerous)) {
		if !found[name] {
			t.Errorf("%s is in the list, but not in the module", name)
		}
	}
}

func dangerousInTypeScript(t *testing.T) map[string]bool {
	t.Helper()
	option, found := regexp.MustCompile(`\bdangerously\w+`), map[string]bool{}
	src := os.DirFS("../ws/browser/src")
	err := fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".ts") {
			return err
		}
		text, err := fs.ReadFile(src, name)
		for _, s := range option.FindAllString(string(text), -1) {
			found[s] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMeekNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Dev": true, "DevCookie": true, "InsecureSkipVerify": true,
		"SkipOrigin": true, "Preferred": true, "AllowLocalHTTP": true, "UnsafeEval": true,
		"Device": false, "Skipped": false, "DangerouslyEval": false, "UpgradeInsecureRequests": false, "AllowMissing": false,
	} {
		if got := meek.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
