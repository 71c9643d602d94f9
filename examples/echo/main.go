// Echo is the smallest secure socket: it sends the messages of a signed-in page of one origin back.
package main

import (
	"cmp"
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
)

func main() {
	addr := flag.String("addr", "localhost:8443", "listen on `host:port`, with cert.pem and key.pem")
	flag.Parse()
	sessions := must(session.New(session.Config{}))
	auth := must(middleware.NewAuth(sessions))
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://" + *addr}}))
	headers := must(middleware.NewHeaders(middleware.HeadersConfig{}))
	registry := must(live.New(live.Config{}))
	socket := must(ws.New(ws.Config{Origins: origins, Auth: auth, Live: registry, Serve: echo}))

	mux := http.NewServeMux()
	mux.Handle("GET /ws", socket)
	mux.HandleFunc("POST /login", answer(func(r *http.Request) error { // check a password here
		return sessions.Login(r.Context(), session.Identity{Subject: cmp.Or(r.FormValue("user"), "alice")})
	}))
	mux.HandleFunc("POST /logout", answer(func(r *http.Request) error { return sessions.Logout(r.Context()) }))
	srv := middleware.NewServer(*addr, middleware.Chain(mux,
		middleware.AccessLog(nil), middleware.Recover(nil), headers.Handler, origins.Handler, sessions.Handler))

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := srv.ListenAndServeTLS("cert.pem", "key.pem"); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-signals
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	go func() { <-signals; cancel() }() // a second signal hastens
	if err := registry.Shutdown(ctx, srv); err != nil {
		log.Fatal(err)
	}
}

// echo is the life of one connection. Logout ends it, with close code 3000 `revoked`.
func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

func answer(do func(r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(r); err != nil {
			middleware.Refuse(w, r, err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
