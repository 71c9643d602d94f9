package middleware_test

import (
	"testing"

	"github.com/securews/securews/middleware"
)

// The pages of native shells and browser extensions are listed by their whole origin; RFC 6454
// §5 compares scheme and host of any kind.
func TestOriginsOfNativeShellsAndExtensions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		shell, origin string
		others        []string
	}{
		{
			"Capacitor on iOS", "capacitor://localhost",
			[]string{
				"capacitor://localhost.evil", "capacitor://evil",
				"capacitor://localhost:1", "ionic://localhost", "http://localhost", "https://localhost",
			},
		},
		{"Ionic", "ionic://localhost", []string{"ionic://localhost.evil", "capacitor://localhost"}},
		{
			"Tauri on macOS and Linux", "tauri://localhost",
			[]string{"tauri://localhost.evil", "http://tauri.localhost", "https://tauri.localhost"},
		},
		{
			"Tauri on Windows", "https://tauri.localhost",
			[]string{"http://tauri.localhost", "https://tauri.localhost.evil", "tauri://localhost", "https://tauri.localhost:8443"},
		},
		{"an Electron app", "app://bundle", []string{"app://bundle.evil", "app://other", "file://"}},
		{"an Electron app with a hyphen for a host", "app://-", []string{"app://", "app://x"}},
		{
			"a webview of Visual Studio Code", "vscode-webview://0d5tvgk7m5lpc0bq8s1b7q5j4l3h2k1f9e8d7c6b5a4z3y2x1w0v",
			[]string{"vscode-webview://1d5tvgk7m5lpc0bq8s1b7q5j4l3h2k1f9e8d7c6b5a4z3y2x1w0v"},
		},
		{
			"an extension of Chromium", "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
			[]string{
				"chrome-extension://abcdefghijklmnopabcdefghijklmnoa",
				"moz-extension://abcdefghijklmnopabcdefghijklmnop", "https://abcdefghijklmnopabcdefghijklmnop",
			},
		},
		{
			"an extension of Firefox", "moz-extension://4b5a1c2e-0f3d-4e6a-9b7c-8d1e2f3a4b5c",
			[]string{"moz-extension://4b5a1c2e-0f3d-4e6a-9b7c-8d1e2f3a4b5d"},
		},
		{
			"an extension of Safari", "safari-web-extension://4B5A1C2E-0F3D-4E6A-9B7C-8D1E2F3A4B5C",
			[]string{"safari-web-extension://4B5A1C2E-0F3D-4E6A-9B7C-8D1E2F3A4B5D"},
		},
	} {
		t.Run(row.shell, func(t *testing.T) {
			t.Parallel()
			p := originPolicy(t, middleware.OriginConfig{Allow: []string{row.origin}})
			guardAnswer(t, p.Check(handshakeFrom(row.origin)), 403, "")
			guardAnswer(t, p.Check(handshakeFrom("null")), 403, "origin_not_allowed")
			guardAnswer(t, p.Check(handshakeFrom(row.origin+"/")), 403, "origin_malformed")
			guardAnswer(t, p.Check(handshakeFrom(row.origin, row.origin)), 403, "origin_malformed")
			for _, other := range row.others {
				if p.Check(handshakeFrom(other)) == nil {
					t.Errorf("%s is admitted", other)
				}
			}
		})
	}
}

// Local pages without TLS, which browsers load from this machine (RFC 6761 §6.3).
func TestOriginsBelowLocalhost(t *testing.T) {
	t.Parallel()
	p := originPolicy(t, middleware.OriginConfig{
		Allow:                     []string{"http://apple.localhost:3001", "http://tauri.localhost"},
		DangerouslyAllowLocalHTTP: true,
	})
	for origin, reason := range map[string]string{
		"http://apple.localhost:3001":      "",
		"http://tauri.localhost":           "",
		"http://tauri.localhost:80":        "",
		"http://apple.localhost":           "origin_not_allowed",
		"http://pear.localhost:3001":       "origin_not_allowed",
		"http://a.apple.localhost:3001":    "origin_not_allowed",
		"http://localhost:3001":            "origin_not_allowed",
		"https://apple.localhost:3001":     "origin_not_allowed",
		"http://apple.localhost.evil:3001": "origin_not_allowed",
	} {
		if err := p.Check(handshakeFrom(origin)); (err == nil) != (reason == "") {
			t.Errorf("%s: %v", origin, err)
		}
	}
}
