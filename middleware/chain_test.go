package middleware_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
)

func TestChainFirstNamedSeesARequestFirst(t *testing.T) {
	t.Parallel()
	var seen []string
	layer := func(name string) middleware.Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, name)
				next.ServeHTTP(w, r)
				seen = append(seen, "/"+name)
			})
		}
	}
	end := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen = append(seen, "handler") })
	middleware.Chain(end, layer("outer"), layer("inner")).ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"))
	if got := strings.Join(seen, " "); got != "outer inner handler /inner /outer" {
		t.Error(got)
	}
}

func TestChainOfNothingIsTheHandler(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	if h := middleware.Chain(mux); h != http.Handler(mux) {
		t.Errorf("%T", h)
	}
}

func TestChainNamesTheLayerThatIsNil(t *testing.T) {
	t.Parallel()
	layer := func(next http.Handler) http.Handler { return next }
	defer func() {
		if got := fmt.Sprint(recover()); got != "middleware: Chain: layer 2 of 3 is nil" {
			t.Error(got)
		}
	}()
	middleware.Chain(http.NewServeMux(), layer, nil, layer)
}

// Every layer is what routers take, without a conversion.
func ExampleChain() {
	auth, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.DiscardHandler) // or your own
	mux := http.NewServeMux()
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		fmt.Fprint(w, p.Method)
	})
	h := middleware.Chain(mux, middleware.AccessLog(log), new(middleware.Headers).Handler, auth.Handler)

	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(rec.Code, rec.Body, rec.Header().Get("X-Content-Type-Options"))
	// Output: 200 anonymous nosniff
}

func ExampleNewAuth() {
	auth, err := middleware.NewAuth(middleware.Anonymous())
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /rooms", middleware.Chain(http.NotFoundHandler(), auth.Handler, middleware.RequireScope("rooms")))

	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", "/rooms", nil))
	fmt.Println(rec.Code, rec.Body)
	// Output: 403 {"type":"about:blank","title":"Forbidden","status":403,"reason":"insufficient_scope"}
}
