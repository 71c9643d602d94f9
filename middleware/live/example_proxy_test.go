package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// newProxy proxies to a backend that does no authentication of its own. The backend gets the
// name of the user, and not the credential.
func newProxy(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
			p, _ := middleware.FromContext(r.In.Context())
			r.Out.Header.Set("X-User", p.Subject)
		},
		ErrorLog: log.New(io.Discard, "", 0), // of this example: it would have a line for each end
	}
}

// A gateway: the event stream of a backend ends when the user signs out.
func ExampleRegistry_Handler_reverseProxy() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: Good morning, %s.\n\n", r.Header.Get("X-User"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer backend.Close()
	to, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	revocations := middleware.NewRevocations()
	auth, err := middleware.NewAuth(middleware.WithRevocations(sharedSecret{}, revocations))
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		panic(err)
	}
	gateway := httptest.NewTLSServer(middleware.Chain(newProxy(to), auth.Handler, registry.Handler))
	defer gateway.Close()

	r, _ := http.NewRequest(http.MethodGet, gateway.URL, nil)
	r.Header.Set("Authorization", "Secret ann")
	resp, err := gateway.Client().Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	stream := bufio.NewReader(resp.Body)
	first, err := stream.ReadString('\n')
	fmt.Print(first)
	if err != nil {
		fmt.Println(err)
	}
	// The user signs out, in another request.
	_ = revocations.Revoke(context.Background(), middleware.Revocation{SessionHandle: "session of ann"})
	if _, err := io.Copy(os.Stdout, stream); err != nil {
		fmt.Println(err)
	}
	// Output:
	// data: Good morning, ann.
	//
	// event: end
	// data: {"code":3000,"reason":"revoked"}
}
