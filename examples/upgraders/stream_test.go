package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The time-outs of a server are for ordinary requests: an event stream goes on after them.
func TestEventStreamOutlastsTimeoutsOfServer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const timeout = 200 * time.Millisecond
			server := httptest.NewUnstartedServer(eventStream(timeout / 10))
			server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
			server.EnableHTTP2 = kind == "HTTP/2"
			server.StartTLS()
			t.Cleanup(server.Close)
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			events := bufio.NewScanner(resp.Body)
			for begun := time.Now(); time.Since(begun) < 3*timeout; {
				if !events.Scan() {
					t.Fatalf("ended after %v: %v", time.Since(begun), events.Err())
				}
			}
		})
	}
}
