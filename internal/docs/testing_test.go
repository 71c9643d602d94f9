package docs

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

func checked[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func echo(_ context.Context, c *ws.Conn) error {
	for {
		kind, message, err := c.Read()
		if err == nil {
			err = c.Write(kind, message)
		}
		if err != nil {
			return err
		}
	}
}

// The next test is the one of docs/testing.md.

func TestSocketEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := checked(session.New(session.Config{Idle: 30 * time.Minute}))
		auth := checked(middleware.NewAuth(sessions))
		origins := checked(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}}))
		registry := checked(live.New(live.Config{}))
		socket := checked(ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Serve: echo}))
		mux := http.NewServeMux()
		mux.Handle("GET /ws", socket)
		mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
			if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
				t.Error(err)
			}
		})
		server := wstest.NewServer(t, middleware.Chain(mux, origins.Handler, sessions.Handler))

		post := checked(http.NewRequestWithContext(t.Context(), "POST", wstest.URL+"/login", nil))
		post.Header.Set("Origin", wstest.URL)
		login := checked(server.Client().Do(post))
		_ = login.Body.Close()
		cookie := login.Cookies()[0]
		c, _, err := server.Dial(t.Context(), "/ws", &websocket.DialOptions{HTTPHeader: http.Header{
			"Origin": {wstest.URL}, "Cookie": {cookie.Name + "=" + cookie.Value},
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Read(t.Context()) // waits for half an hour of fake time
		if code := websocket.CloseStatus(err); code != 3000 {
			t.Errorf("the socket ended with %v, want 3000 expired", err)
		}
	})
}

func TestTheTestingPageHasThisTest(t *testing.T) {
	source, err := os.ReadFile("testing_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range pages(t)["docs/testing.md"].blocks {
		if b.language == "go" && strings.HasPrefix(b.text, "func TestSocketEndsWithItsSession(") {
			if !strings.Contains(string(source), b.text) {
				t.Error("docs/testing.md has another one")
			}
			return
		}
	}
	t.Error("docs/testing.md has no test")
}
