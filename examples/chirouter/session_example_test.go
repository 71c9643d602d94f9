package chirouter_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// The sessions in front of every route, authentication on those that need it.
func Example_session() {
	sessions := must(session.New(session.Config{}))
	auth := must(middleware.NewAuth(sessions))

	r := chi.NewRouter()
	r.Use(sessions.Handler)
	r.Get("/login", func(w http.ResponseWriter, r *http.Request) { // a POST, behind an origin check and a password
		if err := sessions.Login(r.Context(), session.Identity{Subject: "alice"}); err != nil {
			middleware.Refuse(w, r, err)
			return
		}
		_, _ = io.WriteString(w, "signed in")
	})
	r.With(auth.Handler).Get("/me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		_, _ = io.WriteString(w, "you are "+p.Subject)
	})
	// r.Handle("/ws", socket): of ws.New(ws.Config{Auth: auth, ...})

	v, stop := serve(middleware.NewServer("", r))
	defer stop()
	for _, path := range []string{"/me", "/login", "/me"} {
		fmt.Println(v.ask("GET", path, ""))
	}
	// Output:
	// 401
	// 200 signed in
	// 200 you are alice
}
