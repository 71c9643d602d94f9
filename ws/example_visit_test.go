package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// The handlers and the client around the chains of the examples.

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func me(w http.ResponseWriter, r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	_, _ = io.WriteString(w, p.Subject)
}

// signIn stands for a form with a password.
func signIn(sessions *session.Manager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// idExample reaches an issuer: its metadata, and its keys (those of RFC 7515 A.3.1).
var idExample = &http.Client{Transport: pages{
	"https://id.example/.well-known/openid-configuration": `{"issuer":"https://id.example","jwks_uri":"https://id.example/keys"}`,
	"https://id.example/keys": `{"keys":[{"kty":"EC","kid":"1","crv":"P-256",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
}}

type pages map[string]string

func (p pages) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, _ = io.WriteString(w, p[r.URL.String()])
	return w.Result(), nil
}

// visitor is a browser with a page of https://app.example.
type visitor struct {
	*http.Client
	url string
}

// visit serves with a certificate for tests, asks for this and that, and shuts down.
func visit(srv *http.Server, registry *live.Registry) {
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = srv
	ts.StartTLS()
	defer ts.Close()
	v := visitor{ts.Client(), ts.URL}
	v.Jar, _ = cookiejar.New(nil)

	fmt.Println("GET /api/me without a credential:", v.ask("GET", "/api/me", ""))
	fmt.Println("an unsigned token:", v.ask("GET", "/api/me", "Bearer e30.e30.AA"))
	fmt.Println("signed in:", v.ask("POST", "/login", ""))
	fmt.Println("GET /api/me:", v.ask("GET", "/api/me", ""))
	if c := v.dial("https://evil.example"); c != nil {
		log.Fatal("another site's page is let in")
	}
	c := v.dial("https://app.example")
	if c == nil {
		log.Fatal("the page is refused")
	}
	ctx := context.Background()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("echoed: %s\n", p)

	ctx, cancel := context.WithTimeout(ctx, time.Second) // longer where many are to come back
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- registry.Shutdown(ctx, srv) }() // what main calls when it is told to stop
	_, _, err = c.Read(ctx)
	var end websocket.CloseError
	errors.As(err, &end)
	fmt.Println("on shutdown:", int(end.Code), end.Reason)
	if err := <-shut; err != nil {
		log.Fatal(err)
	}
}

// ask returns the status and, of an answer below 400, the text.
func (v visitor) ask(method, path, authorization string) string {
	r := must(http.NewRequest(method, v.url+path, nil))
	r.Header.Set("Origin", "https://app.example")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	res := must(v.Do(r))
	defer func() { _ = res.Body.Close() }()
	text := ""
	if res.StatusCode < 400 {
		text = string(must(io.ReadAll(res.Body)))
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", text))
}

func (v visitor) dial(origin string) *websocket.Conn {
	c, res, err := websocket.Dial(context.Background(), v.url+"/ws", &websocket.DialOptions{
		HTTPClient: v.Client, HTTPHeader: http.Header{"Origin": {origin}},
	})
	if res == nil {
		log.Fatal(err)
	}
	fmt.Printf("a socket of %s: %d\n", origin, res.StatusCode)
	if err != nil {
		return nil
	}
	return c
}
