package redis_test

import (
	"log"
	"net/http"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/redis"
	"github.com/securews/securews/session"
)

// A node whose sessions and limit of logins are those of all nodes. A logout on one of them ends the
// sockets, streams and tokens of the session on the others, at once.
func ExampleNew() {
	shared, err := redis.New(redis.Config{Options: &goredis.UniversalOptions{Addrs: []string{"redis:6379"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer shared.Close()
	sessions, err := session.New(session.Config{Store: shared.Sessions()})
	if err != nil {
		log.Fatal(err)
	}
	auth, err := middleware.NewAuth(sessions)
	if err != nil {
		log.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{"https://app.example"}})
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := shared.Limiter(redis.Limit{Name: "login", Events: 5, Per: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	logins, err := middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: limiter})
	if err != nil {
		log.Fatal(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("POST /login", logins.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Check a password here.
		if err := sessions.Login(r.Context(), session.Identity{Subject: r.FormValue("user")}); err != nil {
			middleware.Refuse(w, r, err)
		}
	})))
	mux.Handle("GET /events", middleware.Chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		// An event stream, which ends with its session.
	}), auth.Handler, registry.Handler))
	mux.Handle("GET /ready", registry.Ready(shared.Ready))
	srv := middleware.NewServer(":8443", middleware.Chain(mux, origins.Handler, sessions.Handler))
	log.Fatal(srv.ListenAndServeTLS("cert.pem", "key.pem"))
}
