package bearer_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// The log names the value found and the setting that would change the answer. The client reads
// the same sentence for every cause, and neither has the token.
func TestCausesNameTheValueAndTheSetting(t *testing.T) {
	t.Parallel()
	kc, zitadel, entra, cognito, own := keycloak(), zitadel(), entraV2(), cognito(), own()
	many := bearer.EntraV2()
	for _, tt := range []struct {
		name  string
		cfg   bearer.Config
		token string
		want  []string
	}{
		{
			"another typ",
			bearer.Config{},
			token(header().with("typ", "JWT"), claims()),
			[]string{`it is "JWT"`, `want one of ["at+jwt"]`, "Config.Profile"},
		},
		{
			"another alg",
			bearer.Config{Algorithms: []bearer.Algorithm{bearer.RS256}},
			token(header(), claims()),
			[]string{`it is "ES256"`, "Config.Algorithms"},
		},
		{
			"an alg that is a MAC, as of a refresh token of Keycloak",
			bearer.Config{},
			token(header().with("alg", "HS512"), claims()),
			[]string{`it is "HS512", which no Config accepts`},
		},
		{
			"a key of another issuer",
			bearer.Config{},
			token(header().with("kid", "other"), claims().with("iss", "https://other.example")),
			[]string{"token is from another issuer", `iss is "https://other.example"; want Config.Issuer, "https://issuer.example"`},
		},
		{
			"a kid that the issuer does not have",
			bearer.Config{},
			token(header().with("kid", "other"), claims()),
			[]string{"no single key of the issuer", "alg is ES256", "Config.JWKS, Discovery or Keys"},
		},
		{
			"a token that is no JWT",
			bearer.Config{},
			"2YotnFZFEjr1zCsicMWpAA.tGzv3JOkF0XG5Qx2TlKWIA.SlAV32hkKG+",
			[]string{"NewIntrospector"},
		},
		{
			"no sub, which no setting makes optional",
			bearer.Config{},
			token(header(), claims().without("sub")),
			[]string{"lacks a required claim: sub; see the configuration of the issuer"},
		},
		{
			"no kid",
			bearer.Config{},
			token(header().without("kid"), claims()),
			[]string{"no kid", "Profile.NoKeyID"},
		},
		{
			"an issuer with a slash too many",
			bearer.Config{},
			token(header(), claims().with("iss", issuer+"/")),
			[]string{`iss is "https://issuer.example/"`, `Config.Issuer, "https://issuer.example"`},
		},
		{
			"another audience",
			bearer.Config{},
			token(header(), claims().with("aud", []string{"account", "web"})),
			[]string{`aud is ["account","web"]`, `Config.Audience, ["https://api.example"]`},
		},
		{
			"another client",
			bearer.Config{Clients: []string{"web"}},
			token(header(), claims()),
			[]string{`client_id is "app"`, `Config.Clients, ["web"]`},
		},
		{
			"no jti",
			bearer.Config{},
			token(header(), claims().without("jti")),
			[]string{"lacks a required claim: jti", "Config.Profile"},
		},
		{
			"no client",
			bearer.Config{Profile: bearer.Profile{ClientIDs: []string{"client_id", "azp"}}},
			token(header(), claims().without("client_id")),
			[]string{"client_id or azp", "Config.Profile"},
		},
		{
			"a life of 30 days",
			bearer.Config{},
			token(header(), claims().with("exp", time.Now().Add(720*time.Hour).Unix())),
			[]string{"exp is 7", "Config.MaxLifetime, 24h0m0s"},
		},
		{
			"a scope that is a list",
			bearer.Config{},
			token(header(), claims().with("scope", []string{"a"})),
			[]string{`"scope" is "[\"a\"]"`, "Profile.Scopes"},
		},
		{
			"roles that are a number",
			bearer.Config{Profile: bearer.Profile{Roles: [][]string{{"roles"}}}},
			token(header(), claims().with("roles", 7)),
			[]string{`"7"`, "Profile.Roles"},
		},
		{
			"an exp in quotes",
			bearer.Config{},
			token(header(), claims().with("exp", "never")),
			[]string{`"exp" is "\"never\""`, "want a number of seconds since 1970"},
		},
		{
			"an exp in milliseconds, RFC 7519 §2",
			bearer.Config{},
			token(header(), claims().with("exp", int64(1767225600000))),
			[]string{`"exp" is "1767225600000"`, "not of milliseconds"},
		},
		{
			"a required claim with another value",
			bearer.Config{Profile: own},
			token(ownHeader(), claims().with("kind", "id")),
			[]string{`kind is "id"; want kind access`, "Config.Profile"},
		},
		{
			"a required claim that is not there",
			bearer.Config{Profile: own},
			token(ownHeader(), claims()),
			[]string{"it has no kind; want kind access", "Config.Profile"},
		},
		{
			"Keycloak without an audience mapper", configFor(&kc, kc.profile),
			signed(kc.header, timed(kc.access).with("aud", "account")),
			[]string{`aud is "account"`, `Config.Audience, ["shop-api"]`},
		},
		{
			"an ID token of Keycloak", configFor(&kc, kc.profile),
			signed(kc.header, timed(kc.id).with("aud", kc.audience)),
			[]string{`typ is "ID"; want typ Bearer`, "Config.Profile"},
		},
		{
			"an ID token of Zitadel", configFor(&zitadel, zitadel.profile),
			signed(zitadel.header, timed(zitadel.id)),
			[]string{"it has no jti; want jti"},
		},
		{
			"version 1.0 of Entra ID", configFor(&entra, entra.profile),
			signed(entra.header, timed(entra.access).with("ver", "1.0")),
			[]string{`ver is "1.0"; want ver 2.0`, "Config.Profile"},
		},
		{
			"neither scopes nor roles", configFor(&entra, entra.profile),
			signed(entra.header, timed(entra.app).without("roles")),
			[]string{"it has no scp and no roles; want scp or roles", "Config.Profile"},
		},
		{
			"another tenant",
			bearer.Config{
				Profile: many, Issuer: "https://login.microsoftonline.com/{tenant}/v2.0",
				Tenants: []string{"t1"}, Audience: []string{entra.audience},
			},
			signed(entra.header, timed(entra.access)),
			[]string{`tid is "` + entraTenant + `"`, "Config.Tenants"},
		},
		{
			"a tenant that is not the issuer's",
			bearer.Config{
				Profile: many, Issuer: "https://login.microsoftonline.com/{tenant}/v2.0",
				Tenants: []string{"t1"}, Audience: []string{entra.audience},
			},
			signed(entra.header, timed(entra.access).with("tid", "t1")),
			[]string{`tid is "t1"`, "Config.Issuer"},
		},
		{
			"another app client of Cognito", configFor(&cognito, cognito.profile),
			signed(cognito.header, timed(cognito.access).with("client_id", "web")),
			[]string{`client_id is "web"`, "Config.Clients"},
		},
		{
			"too long",
			bearer.Config{},
			token(header(), claims().with("x", strings.Repeat("x", 8<<10))),
			[]string{"are more than 8192", "Profile.MaxBytes"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.cfg.Issuer == "" {
				tt.cfg.Issuer = issuer
			}
			if len(tt.cfg.Audience) == 0 && !tt.cfg.Profile.NoAudience {
				tt.cfg.Audience = []string{audience}
			}
			tt.cfg.Keys = goodKeys()
			auth, err := middleware.NewAuth(newAuthenticator(t, tt.cfg))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			h := middleware.AccessLog(slog.New(slog.NewJSONHandler(&out, nil)))(auth.Handler(http.HandlerFunc(me)))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, request(tt.token))

			logged := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(out.String())
			for _, want := range tt.want {
				if !strings.Contains(logged, want) {
					t.Errorf("the log has not %s:\n%s", want, logged)
				}
			}
			parts := strings.Split(tt.token, ".")
			mustNotContain(t, "the log", out.String(), tt.token, parts[1], parts[2])
			const sentence = `Bearer realm="api", error="invalid_token", error_description="the access token is not valid here"`
			if got := rec.Header().Get("WWW-Authenticate"); rec.Code != 401 || got != sentence {
				t.Errorf("%d %s", rec.Code, got)
			}
			for _, secret := range append(tt.want, parts...) {
				if len(secret) > 3 && strings.Contains(rec.Body.String(), secret) {
					t.Errorf("the client reads %s", secret)
				}
			}
		})
	}
}
