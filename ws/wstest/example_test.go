package wstest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/ws/wstest"
)

// An hour with an open socket, in milliseconds.
func ExampleNewServer() {
	live := http.NotFoundHandler() // the handler under test

	_ = func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewServer(t, live)
			c, _, err := s.Dial(t.Context(), "/ws", &websocket.DialOptions{
				HTTPHeader: http.Header{"Origin": {wstest.URL}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx := c.CloseRead(t.Context()) // answers pings
			time.Sleep(time.Hour)
			if ctx.Err() != nil {
				t.Error("cut within the hour")
			}
		})
	}
}
