package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/middleware"
)

// RFC 6750 §3.1, ASVS 8.2.1, 8.3.1.
func TestRequireScope(t *testing.T) {
	t.Parallel()
	reader := mustAuth(t, richCredential{middleware.Principal{Subject: "ann", Scopes: []string{"chat:read", "profile"}}})
	nobody := mustAuth(t, middleware.Anonymous())
	for _, tt := range []struct {
		name      string
		auth      *middleware.Auth
		scopes    []string
		status    int
		reason    string
		challenge string
	}{
		{"the scope is there", reader, []string{"chat:read"}, 200, "", ""},
		{"every scope is there", reader, []string{"profile", "chat:read"}, 200, "", ""},
		{
			"one of them is missing", reader,
			[]string{"chat:read", "chat:write"},
			403, "insufficient_scope",
			`Bearer error="insufficient_scope", scope="chat:read chat:write"`,
		},
		{
			"a prefix is not the scope", reader,
			[]string{"chat"},
			403, "insufficient_scope",
			`Bearer error="insufficient_scope", scope="chat"`,
		},
		{
			"letter case counts (RFC 6749 §3.3)", reader,
			[]string{"Chat:Read"},
			403, "insufficient_scope",
			`Bearer error="insufficient_scope", scope="Chat:Read"`,
		},
		{
			"Anonymous has none", nobody,
			[]string{"profile"},
			403, "insufficient_scope",
			`Bearer error="insufficient_scope", scope="profile"`,
		},
		{"no Auth stands further out", nil, []string{"profile"}, 401, "no_credential", "Bearer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := middleware.RequireScope(tt.scopes...)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			if tt.auth != nil {
				h = tt.auth.Handler(h)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, requestWith("GET", "/"))
			if got := rec.Result().Header.Get("WWW-Authenticate"); rec.Code != tt.status || got != tt.challenge {
				t.Errorf("%d %q, want %d %q", rec.Code, got, tt.status, tt.challenge)
			}
			if _, reason := answer(t, h, requestWith("GET", "/")); reason != tt.reason {
				t.Errorf("reason %q, want %q", reason, tt.reason)
			}
		})
	}
}
