package middleware_test

import (
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
)

// ASVS 8.2.1, 8.3.1.
func TestRequireRole(t *testing.T) {
	t.Parallel()
	editor := mustAuth(t, richCredential{middleware.Principal{
		Subject: "ann",
		Roles:   []string{"editor", "staff"}, Scopes: []string{"admin"},
	}})
	nobody := mustAuth(t, middleware.Anonymous())
	for _, tt := range []struct {
		name   string
		auth   *middleware.Auth
		roles  []string
		status int
		reason string
	}{
		{name: "the role is there", auth: editor, roles: []string{"editor"}, status: 200},
		{name: "every role is there", auth: editor, roles: []string{"staff", "editor"}, status: 200},
		{name: "one of them is missing", auth: editor, roles: []string{"editor", "admin"}, status: 403, reason: "forbidden"},
		{name: "a scope of that name is not the role", auth: editor, roles: []string{"admin"}, status: 403, reason: "forbidden"},
		{name: "a prefix is not the role", auth: editor, roles: []string{"edit"}, status: 403, reason: "forbidden"},
		{name: "letter case counts", auth: editor, roles: []string{"Editor"}, status: 403, reason: "forbidden"},
		{name: "Anonymous has none", auth: nobody, roles: []string{"editor"}, status: 403, reason: "forbidden"},
		{name: "an empty list of roles admits nobody", auth: editor, status: 403, reason: "forbidden"},
		{name: "no Auth stands outside", roles: []string{"editor"}, status: 401, reason: "no_credential"},
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
