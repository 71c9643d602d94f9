package middleware_test

import (
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
)

// ASVS 8.2.1, 8.3.1.
func TestRequireRole(t *testing.T) {
	t.Parallel()
	editor := mustAuth(t, richCredential{middleware.Principal{Subject: "ann", Roles: []string{"editor", "staff"}, Scopes: []string{"admin"}}})
	nobody := mustAuth(t, middleware.Anonymous())
	for _, tt := range []struct {
		name   string
		auth   *middleware.Auth
		roles  []string
		status int
		reason string
	}{
		{"the role is there", editor, []string{"editor"}, 200, ""},
		{"every role is there", editor, []string{"staff", "editor"}, 200, ""},
		{"one of them is missing", editor, []string{"editor", "admin"}, 403, "forbidden"},
		{"a scope of that name is not the role", editor, []string{"admin"}, 403, "forbidden"},
		{"a prefix is not the role", editor, []string{"edit"}, 403, "forbidden"},
		{"letter case counts", editor, []string{"Editor"}, 403, "forbidden"},
		{"Anonymous has none", nobody, []string{"editor"}, 403, "forbidden"},
		{"no Auth stands outside", nil, []string{"editor"}, 401, "no_credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := middleware.RequireRole(tt.roles...)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			if tt.auth != nil {
				h = tt.auth.Handler(h)
			}
			if status, reason := answer(t, h, requestWith("GET", "/")); status != tt.status || reason != tt.reason {
				t.Errorf("%d %q, want %d %q", status, reason, tt.status, tt.reason)
			}
		})
	}
}
