package live_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// An event stream that knows nothing of credentials ends when the user signs out.
func ExampleRegistry_Handler() {
	revocations := middleware.NewRevocations()
	auth, err := middleware.NewAuth(middleware.WithRevocations(sharedSecret{}, revocations))
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		panic(err)
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: It rains.\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(auth.Handler(registry.Handler(stream)))
	defer server.Close()

	r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
	r.Header.Set("Authorization", "Secret ann")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if lines.Text() == "data: It rains." {
			// The user signs out, in another request.
			_ = revocations.Revoke(context.Background(), middleware.Revocation{SessionHandle: "session of ann"})
		}
		if lines.Text() != "" {
			fmt.Println(lines.Text())
		}
	}
	// Output:
	// data: It rains.
	// event: end
	// data: {"code":3000,"reason":"revoked"}
}
