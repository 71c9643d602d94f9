package bearer_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// ASVS 10.3.3: issuer and subject name the person.
func TestThePrincipal(t *testing.T) {
	cfg := config()
	cfg.Attributes = []string{"email", "tenant", "level"}
	cfg.Leeway = 10 * time.Second
	now := time.Now().Unix()
	a := newAuthenticator(t, cfg)
	for range 2 { // first seen, then remembered
		p, err := a.Authenticate(request(token(header(),
			claims().with("email", "a@b.example").with("level", 3).with("iat", now-5).with("exp", now+60))))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(issuer + "\x00token-1"))
		switch {
		case p.Issuer != issuer || p.Subject != "alice" || p.Method != "bearer" || p.SessionHandle != "":
			t.Errorf("identity is %+v", p)
		case p.TokenHandle != base64.RawURLEncoding.EncodeToString(sum[:]) || p.TokenHandle != bearer.TokenHandle(issuer, "token-1"):
			t.Errorf("Token is %s", p.TokenHandle)
		case !slices.Equal(p.Scopes, []string{"read", "write"}):
			t.Errorf("Scopes are %q", p.Scopes)
		case !maps.Equal(p.Attributes, map[string]string{"client_id": "app", "email": "a@b.example", "level": "3"}):
			t.Errorf("Attributes are %v", p.Attributes)
		case p.IssuedAt.Unix() != now-5:
			t.Errorf("IssuedAt is %v", p.IssuedAt)
		case p.Expires.Unix() != now+70:
			t.Errorf("Expires is %v", p.Expires)
		}
	}
}

func TestIssuersThatDoNotFollowRFC9068(t *testing.T) {
	cfg := config()
	cfg.Profile = unlikeRFC9068()
	a := newAuthenticator(t, cfg)
	plain := claims().without("jti").without("client_id").without("iat")
	for _, c := range []struct{ name, token, want string }{
		{"typ JWT", token(header().with("typ", "JWT"), plain), "accepted"},
		{"typ jwt", token(header().with("typ", "jwt"), plain), "accepted"},
		{"typ application/jwt", token(header().with("typ", "application/jwt"), plain), "accepted"},
		{"no typ", token(header().without("typ"), plain), "accepted"},
		{"typ at+jwt", token(header(), plain), "accepted"},
		{"typ of something else", token(header().with("typ", "logout+jwt"), plain), invalid},
		{"an empty typ", token(header().with("typ", ""), plain), invalid},
		{"typ null", token(header().with("typ", nil), plain), invalid},
		{"no exp", token(header(), plain.without("exp")), invalid},
		{"no aud", token(header(), plain.without("aud")), invalid},
		{"no sub", token(header(), plain.without("sub")), invalid},
		{"no iss", token(header(), plain.without("iss")), invalid},
		{"no kid", token(header().without("kid"), plain), invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := a.Authenticate(request(c.token))
			if outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
			if err == nil && p.TokenHandle != bearer.TokenHandleOf(c.token) {
				t.Errorf("Token is %s", p.TokenHandle)
			}
		})
	}
}

// Lists as Spring and Duende write them, scp as Okta and Entra do.
func TestScopesOfOtherIssuers(t *testing.T) {
	cfg := config()
	cfg.Profile = unlikeRFC9068()
	loose, strict := newAuthenticator(t, cfg), newAuthenticator(t, config())
	none := claims().without("scope")
	for _, c := range []struct {
		name          string
		claims        object
		loose, strict string
	}{
		{"scope a string", claims(), "[read write]", "[read write]"},
		{"scope a list", none.with("scope", []string{"read", "write"}), "[read write]", invalid},
		{"scope an empty list", none.with("scope", []string{}), "[]", invalid},
		{"scp a string", none.with("scp", "read write"), "[read write]", "[]"},
		{"scp a list", none.with("scp", []string{"read", "write"}), "[read write]", "[]"},
		{"scope before scp", claims().with("scp", []string{"admin"}), "[read write]", "[read write]"},
		{"an empty scope before scp", claims().with("scope", "").with("scp", "admin"), "[]", "[]"},
		{"two words in one element", none.with("scope", []string{"read admin"}), invalid, invalid},
		{"an empty element", none.with("scope", []string{""}), invalid, invalid},
		{"an element that is a number", none.with("scope", []any{"read", 1}), invalid, invalid},
		{"scope null", none.with("scope", nil), invalid, invalid},
		{"scope an object", none.with("scope", object{"read": true}), invalid, invalid},
		{"scope a number", none.with("scope", 1), invalid, invalid},
		{"scp a number", none.with("scp", 1), invalid, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for a, want := range map[*bearer.Authenticator]string{loose: c.loose, strict: c.strict} {
				p, err := a.Authenticate(request(token(header(), c.claims)))
				got := fmt.Sprint(p.Scopes)
				if err != nil {
					got = outcome(err)
				}
				if got != want {
					t.Errorf("got %s, want %s (strict %v)", got, want, a == strict)
				}
			}
		})
	}
}

// A holder of an ECDSA signature (r, s) can write (r, n-s), which verifies too: a deny-list
// of raw tokens would miss it.
func TestTheHandleOutlivesAnotherSignature(t *testing.T) {
	a := token(header(), claims())
	b := token(header(), claims())
	if a == b {
		t.Fatal("ECDSA signed the same twice")
	}
	if bearer.TokenHandleOf(a) != bearer.TokenHandleOf(b) {
		t.Error("one token has two handles")
	}
	if bearer.TokenHandle("a", "bc") == bearer.TokenHandle("ab", "c") {
		t.Error("two tokens have one handle")
	}
}

func TestRevocation(t *testing.T) {
	cfg := config()
	cfg.Revocations = middleware.NewRevocations()
	a := newAuthenticator(t, cfg)
	one, two := token(header(), claims()), token(header(), claims().with("jti", "token-2"))
	want := func(token, want string) {
		t.Helper()
		if _, err := a.Authenticate(request(token)); outcome(err) != want {
			t.Fatalf("got %s, want %s", outcome(err), want)
		}
	}
	want(one, "accepted")
	want(two, "accepted")
	_ = cfg.Revocations.Revoke(t.Context(), middleware.Revocation{TokenHandle: bearer.TokenHandle(issuer, "token-1")})
	want(one, "401 credential_revoked") // though it is remembered
	want(two, "accepted")
	cutoff := func(before time.Time) {
		_ = cfg.Revocations.Revoke(t.Context(), middleware.Revocation{Issuer: issuer, Subject: "alice", Before: before})
	}
	cutoff(time.Now().Add(time.Second))
	want(two, expired)                       // another token may be good
	cutoff(time.Now().Add(32 * time.Second)) // beyond Leeway
	want(two, "401 credential_revoked")
}

type brokenRevocations struct{ middleware.Revocations }

func (brokenRevocations) Revoked(context.Context, middleware.Principal) (bool, error) {
	return false, errors.New("store-secret is down")
}

func TestUnknownRevocationFailsClosed(t *testing.T) {
	cfg := config()
	cfg.Revocations = brokenRevocations{}
	a := newAuthenticator(t, cfg)
	for range 2 {
		_, err := a.Authenticate(request(token(header(), claims())))
		var f *middleware.Refusal
		if outcome(err) != unavailable || !errors.As(err, &f) || f.Header.Get("Retry-After") == "" {
			t.Errorf("got %s", outcome(err))
		}
	}
}

// RFC 8705 §3: the certificate of the connection must be the one the token names.
func TestCertificateBoundTokens(t *testing.T) {
	a := newAuthenticator(t, config())
	mine, other := []byte("certificate one"), []byte("certificate two")
	bound := token(header(), claims().with("cnf", object{"x5t#S256": thumbprint(mine)}))
	for _, c := range []struct {
		name  string
		state *tls.ConnectionState
		want  string
	}{
		{"that certificate", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: mine}}}, "accepted"},
		{"another one, the token remembered", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: other}}}, invalid},
		{"no certificate", &tls.ConnectionState{}, invalid},
		{"no TLS", nil, invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(bound)
			r.TLS = c.state
			p, err := a.Authenticate(r)
			if outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
			if err == nil && p.Binding.CertificateSHA256 != thumbprint(mine) {
				t.Errorf("Certificate is %q", p.Binding.CertificateSHA256)
			}
		})
	}
	if p, err := a.Authenticate(request(token(header(), claims()))); err != nil || p.Binding.CertificateSHA256 != "" {
		t.Errorf("a token that is bound to none: %q, %v", p.Binding.CertificateSHA256, err)
	}
}

// ASVS 9.1.3, 10.3.3: an issuer's keys vouch for its own subjects only.
func TestSeveralIssuers(t *testing.T) {
	const second = "https://second.example"
	cfg := config()
	a := newAuthenticator(t, cfg)
	cfg.Issuer, cfg.Keys = second, keys(jwk("ec", otherEC())) // the same kid, CVE-2026-49998
	b := newAuthenticator(t, cfg)
	both, err := bearer.NewIssuers(a, b)
	if err != nil {
		t.Fatal(err)
	}
	from := func(iss string) string { return claims().with("iss", iss).String() }
	for _, c := range []struct{ name, token, want string }{
		{"the first issuer's token", sign(ecKey(), "ES256", header().String(), from(issuer)), "accepted"},
		{"the second's", sign(otherEC(), "ES256", header().String(), from(second)), "accepted"},
		{"the first's key for the second's name", sign(ecKey(), "ES256", header().String(), from(second)), invalid},
		{"the second's key for the first's name", sign(otherEC(), "ES256", header().String(), from(issuer)), invalid},
		{"a third's", sign(ecKey(), "ES256", header().String(), from("https://third.example")), invalid},
		{"without iss", sign(ecKey(), "ES256", header().String(), claims().without("iss").String()), invalid},
		{"no token at all", "x", invalid},
		{"none, two tokens", "x y", malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := both.Authenticate(request(c.token)); outcome(err) != c.want {
				t.Fatalf("got %s, want %s", outcome(err), c.want)
			}
		})
	}
	if both.Ambient() || both.Challenge() != a.Challenge() {
		t.Error("Issuers is not what its parts are")
	}
	if _, err := bearer.NewIssuers(); err == nil {
		t.Error("no issuer is accepted")
	}
	if _, err := bearer.NewIssuers(a, nil, &bearer.Authenticator{}, a); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
	if _, err := (&bearer.Issuers{}).Authenticate(request("x")); outcome(err) != invalid {
		t.Errorf("the zero Issuers: %v", err)
	}
}
