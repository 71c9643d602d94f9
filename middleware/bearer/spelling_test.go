package bearer_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// lenient is a tokenIssuer that knows a JWT again whose signature has another spelling, as a decoder
// of base64url does that skips padding and the bits behind the last byte.
type lenient struct{ *tokenIssuer }

func (l lenient) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	asked := form.Get("token")
	l.mu.Lock()
	for known := range l.tokens {
		if dot := strings.LastIndexByte(known, '.'); dot > 0 && strings.HasPrefix(asked, known[:dot+1]) {
			form.Set("token", known)
		}
	}
	l.mu.Unlock()
	r = r.Clone(r.Context())
	r.PostForm, r.Body = nil, io.NopCloser(strings.NewReader(form.Encode()))
	return l.tokenIssuer.RoundTrip(r)
}

// respellings of the signature of a token.
func respellings(token string) map[string]string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	dot := strings.LastIndexByte(token, '.') + 1
	return map[string]string{
		"with padding":                  token + "==",
		"with a bit behind its end set": token[:len(token)-1] + alphabet[last|1:last|1+1], // 64 bytes leave four bits
		"in the other alphabet":         token[:dot] + strings.NewReplacer("-", "+", "_", "/").Replace(token[dot:]) + "=",
	}
}

// RFC 7515 §7.1, RFC 4648 §3.5: the holder of a JWT that was revoked by its TokenHandle, or that an
// Authenticator refuses, spells its signature in another way that the introspection endpoint reads.
func TestAJWTIsTheSameInEverySpelling(t *testing.T) {
	t.Parallel()
	list := middleware.NewRevocations()
	i := lenient{newTokenIssuer()}
	icfg := introspection(i)
	icfg.Revocations = list
	alone := newIntrospector(t, icfg)
	of := func(typ string) string { return token(header().with("typ", typ), claims().without("jti")) }
	encrypted := b64([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + ".AA.AA.AA." + b64(make([]byte, 64)) // RFC 7516 §7.1
	for name, tok := range map[string]string{"a JWT": of("at+jwt"), "an encrypted JWT": encrypted} {
		i.issues(tok, members().without("jti"))
		p, err := alone.Authenticate(request(tok))
		if err != nil {
			t.Fatal(name, err)
		}
		if err := list.Revoke(t.Context(), middleware.Revocation{TokenHandle: p.TokenHandle}); err != nil {
			t.Fatal(err)
		}
		for spelling, again := range respellings(tok) {
			if _, err := alone.Authenticate(request(again)); outcome(err) != "401 credential_revoked" {
				t.Errorf("%s that is revoked, %s: %s", name, spelling, outcome(err))
			}
		}
	}
	idToken := of("JWT")
	i.issues(idToken, members())
	icfg.Revocations = nil
	all, err := bearer.NewIssuers(newAuthenticator(t, config()), newIntrospector(t, icfg))
	if err != nil {
		t.Fatal(err)
	}
	for spelling, again := range respellings(idToken) {
		if _, err := all.Authenticate(request(again)); outcome(err) != invalid {
			t.Errorf("an ID token of the Authenticator, %s: %s", spelling, outcome(err))
		}
	}
}

// A JWT whose claims cannot be read may be of an issuer that has an Authenticator: the Introspector is
// not asked (RFC 8725 §3.11, §3.12).
func TestAJWTThatCannotBeReadIsNotIntrospected(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	all, err := bearer.NewIssuers(newAuthenticator(t, config()), newIntrospector(t, introspection(i)))
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"half of a surrogate pair": `{"name":"\ud800",` + claims().String()[1:],
		"iss twice":                `{"iss":"https://other.example",` + claims().String()[1:],
		"not JSON":                 "claims",
	} {
		tok := sign(ecKey(), "ES256", header().String(), payload)
		i.issues(tok, members())
		if _, err := all.Authenticate(request(tok)); outcome(err) != invalid {
			t.Errorf("%s: %s", name, outcome(err))
		}
	}
	if n := i.asked.Load(); n != 0 {
		t.Errorf("%d introspections", n)
	}
}
