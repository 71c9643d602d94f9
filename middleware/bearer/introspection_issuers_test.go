package bearer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// A JWT of an Authenticator's issuer goes to that Authenticator and to no other; every other token
// goes to the Introspector, whose issuer may be the same.
func TestIssuersWithAnIntrospector(t *testing.T) {
	t.Parallel()
	const second = "https://second.example"
	for _, opaqueIssuer := range []string{issuer, "https://opaque.example"} {
		i := newTokenIssuer()
		cfg := config()
		first := newAuthenticator(t, cfg)
		cfg.Issuer, cfg.Keys = second, keys(jwk("ec", otherEC()))
		other := newAuthenticator(t, cfg)
		icfg := introspection(i)
		icfg.Issuer = opaqueIssuer
		introspector := newIntrospector(t, icfg)
		all, err := bearer.NewIssuers(first, introspector, other)
		if err != nil {
			t.Fatal(err)
		}
		own := token(header(), claims().with("iss", "https://opaque.example"))
		forged := sign(otherEC(), "ES256", header().String(), claims().String())
		idToken := token(header().with("typ", "JWT"), claims())
		for _, active := range []string{opaque, "a.b", "a.b.c", own, forged, idToken, token(header(), claims())} {
			i.issues(active, members().with("iss", opaqueIssuer).with("sub", "introspected"))
		}
		for _, tt := range []struct{ name, token, want string }{
			{"a JWT of the first", token(header(), claims()), "alice"},
			{"a JWT of the second", sign(otherEC(), "ES256", header().String(), claims().with("iss", second).String()), "alice"},
			{"an opaque token", opaque, "introspected"},
			{"an opaque token of two parts, as Hydra's", "a.b", "introspected"},
			{"an opaque token of three parts", "a.b.c", "introspected"},
			{"a JWT of an issuer without Authenticator", own, "introspected"},
			{"a JWT that the first refuses, which the endpoint calls active", forged, invalid},
			{"an ID token of the first, which the endpoint calls active", idToken, invalid},
			{"an opaque token that is not active", "unknown", invalid},
			{"two tokens", "a b", malformed},
		} {
			p, err := all.Authenticate(request(tt.token))
			if got := p.Subject; err != nil {
				if got = outcome(err); got != tt.want {
					t.Errorf("%s: %s, want %s: %v", tt.name, got, tt.want, err)
				}
				continue
			} else if got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			if (p.SealedToken != "") != (p.Subject == "introspected") || (p.SigningKey != "") != (p.Subject == "alice") {
				t.Errorf("%s: %+v", tt.name, p)
			}
			if err := all.Alive(t.Context(), p); err != nil {
				t.Errorf("%s: alive: %v", tt.name, err)
			}
		}
	}
}

// A recheck asks the one that accepted the token, although both are of one issuer.
func TestIssuersAskTheOneThatAccepted(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	icfg := introspection(i)
	icfg.CacheFor = 1
	all, err := bearer.NewIssuers(newAuthenticator(t, config()), newIntrospector(t, icfg))
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := all.Authenticate(request(token(header(), claims())))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := all.Authenticate(request(opaque))
	if err != nil {
		t.Fatal(err)
	}
	i.becomes(saysStatus(500, ""))
	if err := all.Alive(t.Context(), jwt); err != nil {
		t.Errorf("the JWT, while the endpoint is down: %v", err)
	}
	sealed.SealedToken = strings.ToUpper(sealed.SealedToken)
	if err := all.Alive(t.Context(), sealed); outcome(err) != expired {
		t.Errorf("the opaque token, changed: %s", outcome(err))
	}
}

func TestNewIssuersRefuses(t *testing.T) {
	t.Parallel()
	var none *bearer.Introspector
	one, two := newIntrospector(t, introspection(newTokenIssuer())), newIntrospector(t, introspection(newTokenIssuer()))
	subprotocol := introspection(newTokenIssuer())
	subprotocol.FromSubprotocol = true
	resource := introspection(newTokenIssuer())
	resource.Resource = "https://api.example"
	jwts := newAuthenticator(t, config())
	for _, tt := range []struct {
		name string
		list []bearer.Issuer
		want string
	}{
		{"two Introspectors", []bearer.Issuer{one, two}, "a second Introspector"},
		{"a nil one", []bearer.Issuer{jwts, none}, "number 1 is nil or zero"},
		{"a zero one", []bearer.Issuer{&bearer.Introspector{}, jwts}, "number 0 is nil or zero"},
		{"nil", []bearer.Issuer{nil, jwts}, "number 0 is nil or zero"},
		{"another FromSubprotocol", []bearer.Issuer{jwts, newIntrospector(t, subprotocol)}, "FromSubprotocol differs"},
		{"another Resource", []bearer.Issuer{jwts, newIntrospector(t, resource)}, "Resource differs"},
	} {
		if _, err := bearer.NewIssuers(tt.list...); err == nil || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if only, err := bearer.NewIssuers(one); err != nil || only.Challenge() != `Bearer realm="api"` || only.Exclusive() != one.Exclusive() {
		t.Errorf("one Introspector: %v", err)
	}
	if _, err := middleware.NewAuth(jwts, one); err == nil || !strings.Contains(err.Error(), "bearer.NewIssuers") {
		t.Errorf("beside an Authenticator: %v", err)
	}
}

// TokenHandleOf is of the whole of an opaque token: two of them may differ behind their last dot only.
func TestHandlesOfOpaqueTokens(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	a := newIntrospector(t, introspection(i))
	var handles []string
	for _, tok := range []string{"tenant.one", "tenant.two", "a.b.c", "a.b.d", opaque} {
		i.issues(tok, members().without("jti"))
		p, err := a.Authenticate(request(tok))
		if err != nil || p.TokenHandle != bearer.TokenHandleOf(tok) || slices.Contains(handles, p.TokenHandle) {
			t.Errorf("%s: %q, %v", tok, p.TokenHandle, err)
		}
		handles = append(handles, p.TokenHandle)
	}
	jws := token(header(), claims())
	if signed := jws[:strings.LastIndexByte(jws, '.')]; bearer.TokenHandleOf(jws) != bearer.TokenHandleOf(signed+".AAAA") {
		t.Error("the handle of a JWT depends on its signature")
	}
}
