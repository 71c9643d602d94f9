package main

import (
	"bufio"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws/wstest"
)

// The time-outs of a server are for ordinary requests: an event stream goes on after them.
func TestEventStreamOutlastsTimeoutsOfServer(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		t.Run(map[int]string{1: "HTTP/1.1", 2: "HTTP/2"}[major], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := wstest.Start(t, middleware.NewServer("", eventStream(time.Second)))
				client := server.Client()
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = major == 2
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, wstest.URL, nil)
				resp, err := client.Do(r)
				if err != nil || resp.ProtoMajor != major {
					t.Fatal(resp, err)
				}
				defer resp.Body.Close()
				events := bufio.NewScanner(resp.Body)
				for begun := time.Now(); time.Since(begun) < time.Hour; {
					if !events.Scan() {
						t.Fatalf("ended after %v: %v", time.Since(begun), events.Err())
					}
				}
			})
		})
	}
}
