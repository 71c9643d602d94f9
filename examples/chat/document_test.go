package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func (s *site) get(t *testing.T, path, cookie string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	answer, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

var (
	policyNonce   = regexp.MustCompile(`'nonce-([^']+)'`)
	documentNonce = regexp.MustCompile(`nonce="([^"]*)"`)
	assetPath     = regexp.MustCompile(`"(/assets/[^"]+)"`)
)

// CSP3 §7.1: a nonce is for one response, and only scripts with that nonce may run.
func TestDocument(t *testing.T) {
	s := startSite(t, generous)
	answer, body := s.get(t, "/", "")
	policy := answer.Header.Get("Content-Security-Policy")
	nonce := policyNonce.FindStringSubmatch(policy)
	if nonce == nil {
		t.Fatalf("no nonce in %q", policy)
	}
	// HTML §4.10.22.3: outside of a dialog, a click before the script has loaded does not submit this form.
	if !strings.Contains(body, `<form id="sign-in-form" class="card" method="dialog">`) {
		t.Error("the form can be sent without the script")
	}
	for _, m := range documentNonce.FindAllStringSubmatch(body, -1) {
		if m[1] != nonce[1] {
			t.Errorf("the document has nonce %q, its policy %q", m[1], nonce[1])
		}
	}
	for _, word := range []string{"unsafe-inline", "unsafe-eval"} {
		if strings.Contains(policy, word) {
			t.Errorf("the policy says %s: %s", word, policy)
		}
	}
	if again, _ := s.get(t, "/", ""); strings.Contains(again.Header.Get("Content-Security-Policy"), nonce[1]) {
		t.Error("two answers share a nonce")
	}
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	if strings.Contains(body, "alice") {
		t.Error("a stranger's page names alice")
	}
	if _, body := s.get(t, "/", s.cookie); !strings.Contains(body, `data-user="alice"`) {
		t.Error("alice's page does not name her")
	}
}

func TestAssets(t *testing.T) {
	s := startSite(t, generous)
	_, body := s.get(t, "/", "")
	paths := assetPath.FindAllStringSubmatch(body, -1)
	if len(paths) < 3 {
		t.Fatalf("assets in the document: %q", paths)
	}
	kinds := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	for _, m := range paths {
		answer, _ := s.get(t, m[1], "")
		kind := kinds[m[1][strings.LastIndex(m[1], ".")+1:]]
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %s, %q", m[1], answer.Status, answer.Header.Get("Content-Type"))
		}
	}
	for _, path := range []string{
		"/assets/", "/assets/other/chat.js",
		s.page.prefix + "/index.html", s.page.prefix + "/../index.html", s.page.prefix + "/x/chat.js",
	} {
		if answer, _ := s.get(t, path, ""); answer.StatusCode != 404 {
			t.Errorf("%s: %s, want 404", path, answer.Status)
		}
	}
}
