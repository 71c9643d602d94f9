package chirouter_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

// Access tokens of one issuer, for this service.
func Example_bearer() {
	key, set := newKey()
	tokens := must(bearer.New(bearer.Config{
		Issuer:     "https://issuer.example",
		Audience:   []string{"https://api.example"},
		Keys:       set, // in production JWKS, the URL, or Discovery
		Algorithms: []bearer.Algorithm{bearer.ES256, bearer.EdDSA},
	}))
	defer func() { _ = tokens.Close() }()
	auth := must(middleware.NewAuth(tokens))

	r := chi.NewRouter()
	r.With(auth.Handler).Get("/me", me)

	req := httptest.NewRequest("GET", "/me", nil)
	req.Header.Set("Authorization", "Bearer "+mint(key))
	w := answer(r, req)
	fmt.Println(w.Code, w.Body)
	w = answer(r, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 alice
	// 401 Bearer realm="api"
}

// newKey returns a key of the issuer, and the key set that it publishes.
func newKey() (jwk.Key, []byte) {
	key := must(jwk.Import(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	for name, value := range map[string]any{jwk.KeyIDKey: "1", jwk.AlgorithmKey: jwa.ES256()} {
		if err := key.Set(name, value); err != nil {
			log.Fatal(err)
		}
	}
	set := jwk.NewSet()
	if err := set.AddKey(must(key.PublicKey())); err != nil {
		log.Fatal(err)
	}
	return key, must(json.Marshal(set))
}

// mint signs an access token after RFC 9068 §2.2.
func mint(key jwk.Key) string {
	now := time.Now()
	claims := must(jwt.NewBuilder().
		Issuer("https://issuer.example").Audience([]string{"https://api.example"}).Subject("alice").JwtID("1").
		IssuedAt(now).Expiration(now.Add(5*time.Minute)).Claim("client_id", "app").Build())
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, "at+jwt"); err != nil {
		log.Fatal(err)
	}
	return string(must(jwt.Sign(claims, jwt.WithKey(jwa.ES256(), key, jws.WithProtectedHeaders(header)))))
}
