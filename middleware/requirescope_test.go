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
		{name: "the scope is there", auth: reader, scopes: []string{"chat:read"}, status: 200},
		{name: "every scope is there", auth: reader, scopes: []string{"profile", "chat:read"}, status: 200},
		{
			name: "one of them is missing", auth: reader,
			scopes: []string{"chat:read", "chat:write"},
			status: 403, reason: "insufficient_scope",
			challenge: `Bearer error="insufficient_scope", scope="chat:read chat:write"`,
		},
		{
			name: "a prefix is not the scope", auth: reader,
			scopes: []string{"chat"},
			status: 403, reason: "insufficient_scope",
			challenge: `Bearer error="insufficient_scope", scope="chat"`,
		},
		{
			name: "letter case counts (RFC 6749 §3.3)", auth: reader,
			scopes: []string{"Chat:Read"},
			status: 403, reason: "insufficient_scope",
			challenge: `Bearer error="insufficient_scope", scope="Chat:Read"`,
		},
		{
			name: "Anonymous has none", auth: nobody,
			scopes: []string{"profile"},
			status: 403, reason: "insufficient_scope",
			challenge: `Bearer error="insufficient_scope", scope="profile"`,
		},
		{name: "an empty list of scopes admits nobody", auth: reader, status: 403, reason: "forbidden"},
		{name: "no Auth stands further out", scopes: []string{"profile"}, status: 401, reason: "no_credential", challenge: "Bearer"},
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
