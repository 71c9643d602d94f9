package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/securews/securews/middleware"
)

func TestRolesOfAToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		paths     [][]string
		audiences []string // nil: the one of config
		claims    object
		want      []string
		refused   bool
	}{
		{
			name: "an object that says no", paths: [][]string{{"perms"}},
			claims: object{"perms": object{"admin": false, "staff": nil, "buyer": true, "seller": object{}}},
			want:   []string{"buyer", "seller"},
		},
		{name: "a string", paths: [][]string{{"role"}}, claims: object{"role": "admin"}, want: []string{"admin"}},
		{name: "a list", paths: [][]string{{"roles"}}, claims: object{"roles": []string{"b", "a"}}, want: []string{"a", "b"}},
		{name: "an empty list", paths: [][]string{{"roles"}}, claims: object{"roles": []string{}}},
		{
			name: "the names of an object", paths: [][]string{{"roles"}},
			claims: object{"roles": object{"b": object{"org": "x"}, "a": 1}}, want: []string{"a", "b"},
		},
		{name: "an empty object", paths: [][]string{{"roles"}}, claims: object{"roles": object{}}},
		{
			name: "within a claim", paths: [][]string{{"realm_access", "roles"}},
			claims: object{"realm_access": object{"roles": []string{"a"}, "x": 1}}, want: []string{"a"},
		},
		{
			name: "three levels down", paths: [][]string{{"a", "b", "c"}},
			claims: object{"a": object{"b": object{"c": "d"}}}, want: []string{"d"},
		},
		{name: "not there", paths: [][]string{{"roles"}, {"a", "b"}}, claims: object{"a": object{}}},
		{name: "null", paths: [][]string{{"roles"}}, claims: object{"roles": nil}},
		{name: "null on the way", paths: [][]string{{"a", "b"}}, claims: object{"a": nil}},
		{
			name: "two paths, and a role in both", paths: [][]string{{"r"}, {"s"}},
			claims: object{"r": []string{"b", "a"}, "s": "b"}, want: []string{"a", "b"},
		},
		{name: "a name with an escape", paths: [][]string{{"roles"}}, claims: object{"roles": object{"a\"b": 1}}, want: []string{"a\"b"}},
		{
			name: "of the client that is the audience", paths: [][]string{{"resource_access", "{audience}", "roles"}},
			audiences: []string{"api"},
			claims: object{
				"aud":             "api",
				"resource_access": object{"api": object{"roles": []string{"a"}}, "web": object{"roles": []string{"b"}}},
			},
			want: []string{"a"},
		},
		{
			name: "of each audience", paths: [][]string{{"resource_access", "{audience}"}}, audiences: []string{"api", "web"},
			claims: object{"aud": "api", "resource_access": object{"api": "a", "web": "b", "other": "c"}}, want: []string{"a", "b"},
		},
		{
			name: "the audience within a name", paths: [][]string{{"project:{audience}:roles"}}, audiences: []string{"7"},
			claims: object{"aud": "7", "project:7:roles": object{"a": 1}, "project:8:roles": object{"b": 1}}, want: []string{"a"},
		},

		{name: "a number", paths: [][]string{{"roles"}}, claims: object{"roles": 7}, refused: true},
		{name: "a boolean", paths: [][]string{{"roles"}}, claims: object{"roles": true}, refused: true},
		{name: "a list with a number", paths: [][]string{{"roles"}}, claims: object{"roles": []any{"a", 7}}, refused: true},
		{name: "a list with a list", paths: [][]string{{"roles"}}, claims: object{"roles": []any{[]string{"a"}}}, refused: true},
		{name: "no object on the way", paths: [][]string{{"a", "b"}}, claims: object{"a": "b"}, refused: true},
		{name: "a list on the way", paths: [][]string{{"a", "b"}}, claims: object{"a": []string{"b"}}, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Profile.Roles = tt.paths
			if tt.audiences != nil {
				cfg.Audience = tt.audiences
			}
			c := claims()
			for name, value := range tt.claims {
				c[name] = value
			}
			p, err := newAuthenticator(t, cfg).Authenticate(request(token(header(), c)))
			switch {
			case tt.refused && outcome(err) != invalid:
				t.Errorf("%s, %q", outcome(err), p.Roles)
			case !tt.refused && (err != nil || !reflect.DeepEqual(p.Roles, tt.want)):
				t.Errorf("%q, want %q: %v", p.Roles, tt.want, err)
			}
		})
	}
}

// A role of a token opens a route, and the lack of one closes it.
func TestRolesOfATokenDecideAboutRoutes(t *testing.T) {
	t.Parallel()
	kc := keycloak()
	auth, err := middleware.NewAuth(newAuthenticator(t, configFor(&kc, kc.profile)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		role   string
		status int
	}{
		{"buyer", 200},        // of the realm
		{"refund", 200},       // of the client shop-api, the audience
		{"view-profile", 403}, // of another client
	} {
		h := auth.Handler(middleware.RequireRole(tt.role)(http.HandlerFunc(me)))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, request(signed(kc.header, timed(kc.access))))
		if rec.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.role, rec.Code, tt.status, rec.Body)
		}
	}
}

// The roles of one request's principal are not those of the next.
func TestRolesAreCopiedFromTheContext(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Profile.Roles = [][]string{{"roles"}}
	auth, err := middleware.NewAuth(newAuthenticator(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	tok := token(header(), claims().with("roles", []string{"a"}))
	for range 2 {
		h := auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			p, _ := middleware.FromContext(r.Context())
			if len(p.Roles) != 1 || p.Roles[0] != "a" {
				t.Errorf("%q", p.Roles)
			}
			p.Roles[0] = "root"
		}))
		h.ServeHTTP(httptest.NewRecorder(), request(tok))
	}
}
