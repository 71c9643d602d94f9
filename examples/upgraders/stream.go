package main

import (
	"fmt"
	"net/http"
	"time"
)

// eventStream returns an event stream that sends an event at the given interval, until the
// context of the request ends.
func eventStream(every time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		control := http.NewResponseController(w)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 1; ; n++ {
			// It replaces the server's WriteTimeout, which counts from the request and would
			// end the stream.
			_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := fmt.Fprintf(w, "data: event %d\n\n", n); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
}
