package bearer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

func me(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	_, _ = fmt.Fprintln(w, "hello", p.Subject)
}

func ExampleNew() {
	tokens, err := bearer.New(bearer.Config{
		Issuer:     "https://issuer.example",
		Audience:   []string{"https://api.example"},
		Keys:       keys(jwk("ec", ecKey())), // in production JWKS, the URL, or Discovery
		Algorithms: []bearer.Algorithm{bearer.ES256, bearer.EdDSA},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()
	auth, err := middleware.NewAuth(tokens)
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /me", auth.Handler(http.HandlerFunc(me)))

	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+token(header(), claims()))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 hello alice
	// 401 Bearer realm="api"
}

func ExampleTokenHandle() {
	revoked := middleware.NewRevocations()
	handle := bearer.TokenHandle("https://issuer.example", "the token's jti")
	if err := revoked.Revoke(context.Background(), middleware.Revocation{TokenHandle: handle}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(handle)
	// Output: lmBfvVL-uYfUNKVtSd8I318yon70GQaMCBq1FkHUWIQ
}
