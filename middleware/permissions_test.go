package middleware_test

import (
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

// Permissions Policy §5.2; the allow-list is an inner list of RFC 9651 §3.1.1.
func TestPermissions(t *testing.T) {
	t.Parallel()
	h := mustHeaders(t, middleware.HeadersConfig{Permissions: map[string][]string{
		"camera":     {"self", "https://meet.example", "https://meet.example:8443"},
		"microphone": {"self"},
		"fullscreen": {},
		"sync-xhr":   nil,
	}})
	got := strings.Split(headersOf(h, requestWith("GET", "/")).Get("Permissions-Policy"), ", ")
	want := map[string]bool{
		`camera=(self "https://meet.example" "https://meet.example:8443")`: true,
		"microphone=(self)": true, "fullscreen=()": true, "sync-xhr=()": true, "geolocation=()": true,
	}
	seen := map[string]bool{}
	for _, member := range got {
		name, _, _ := strings.Cut(member, "=")
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
		delete(want, member)
	}
	if len(want) != 0 {
		t.Errorf("no %v in %q", want, got)
	}
}

func TestPermissionsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		feature string
		list    []string
		want    string
	}{
		{"an unknown feature", "vibrate", nil, `"vibrate" is not a known feature`},
		{"a feature in capitals", "Camera", nil, `"Camera" is not a known feature`},
		{"an injection by name", "camera=*, microphone", nil, "is not a known feature"},
		{"everybody", "camera", []string{"*"}, "is neither self (without quotes) nor an origin"},
		{"plaintext", "camera", []string{"self", "http://a.example"}, "is neither self"},
		{"a path", "camera", []string{"self", "https://a.example/"}, "is neither self"},
		{"an injection by origin", "camera", []string{"self", `https://a.example" "https://b.example`}, "is neither self"},
		{"a line break", "camera", []string{"self", "https://a.example\r\nX: y"}, "is neither self"},
		{"a wildcard", "camera", []string{"self", "https://*.a.example"}, "is neither self"},
		{"twice", "camera", []string{"self", "self"}, `"self" is given twice`},
		{"a frame, but not the page", "camera", []string{"https://a.example"}, "origins without self"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := middleware.NewHeaders(middleware.HeadersConfig{Permissions: map[string][]string{tt.feature: tt.list}})
			wantErrors(t, err, "middleware: HeadersConfig.Permissions: ", tt.want)
		})
	}
}
