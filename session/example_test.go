package session_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

const visits = session.Key[int]("visits")

// The sessions in front of every route, authentication on those that need it.
func ExampleNew() {
	sessions, err := session.New(session.Config{})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := middleware.NewAuth(sessions)
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { // a POST, behind an origin check and a password
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		_, _ = io.WriteString(w, "signed in")
	})
	mux.Handle("GET /me", auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		_, _ = io.WriteString(w, "you are "+p.Subject)
	})))
	// mux.Handle("/ws", socket): of ws.New(ws.Config{Auth: auth, ...})

	visit(sessions.Handler(mux), "/me", "/login", "/me")
	// Output:
	// 401 refused
	// 200 signed in
	// 200 you are alice
}

// Typed values.
func ExampleKey() {
	sessions, err := session.New(session.Config{})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		v := sessions.Values(r.Context())
		n, _, err := visits.Get(v)
		if err = errors.Join(err, visits.Put(v, n+1)); err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		_, _ = fmt.Fprintf(w, "%d before", n)
	})

	visit(sessions.Handler(mux), "/", "/", "/")
	// Output:
	// 200 0 before
	// 200 1 before
	// 200 2 before
}

// visit asks as a browser does and prints the answers.
func visit(h http.Handler, paths ...string) {
	srv := httptest.NewTLSServer(h)
	defer srv.Close()
	client := srv.Client()
	client.Jar, _ = cookiejar.New(nil)
	for _, path := range paths {
		res, err := client.Get(srv.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			body = []byte("refused")
		}
		fmt.Printf("%d %s\n", res.StatusCode, body)
	}
}
