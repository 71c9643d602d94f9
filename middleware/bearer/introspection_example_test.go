package bearer_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
)

func ExampleNewIntrospector() {
	issuer := newTokenIssuer() // an authorization server in memory
	issuer.issues(opaque, members())

	tokens, err := bearer.NewIntrospector(bearer.IntrospectionConfig{
		Issuer:       "https://issuer.example",
		Endpoint:     "https://issuer.example/introspect", // or Discovery
		ClientID:     clientID,
		ClientSecret: clientSecret, // in production from the environment
		Audience:     []string{"https://api.example"},
		Key:          []byte("32 random bytes, on all nodes ok"), // from the environment, too
		HTTPClient:   &http.Client{Transport: issuer},            // in production nil
	})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := middleware.NewAuth(tokens)
	if err != nil {
		log.Fatal(err)
	}
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Events: 10}) // a second, from one address
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("GET /me", limit.Handler(auth.Handler(http.HandlerFunc(me))))

	for _, token := range []string{opaque, "invented"} {
		req := httptest.NewRequest("GET", "/me", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, req)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 hello alice
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"reason":"credential_invalid"}
}
