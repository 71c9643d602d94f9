package middleware_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// scsSessions authenticates by the sessions of a service that keeps [scs.SessionManager].
type scsSessions struct {
	*scs.SessionManager
	revocations middleware.Revocations
}

// Ambient is true, since a browser sends the cookie automatically.
func (scsSessions) Ambient() bool { return true }

func (s scsSessions) Authenticate(r *http.Request) (middleware.Principal, error) {
	ctx := r.Context()
	user := s.GetString(ctx, "user")
	if user == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	return middleware.Principal{
		Issuer: "app", Subject: user, Method: "session",
		SessionHandle: s.GetString(ctx, "handle"), IssuedAt: time.Unix(0, s.GetInt64(ctx, "since")), Expires: s.Deadline(ctx),
	}, nil
}

// login gives the session a handle of its own. A hash of the token would not do: RenewToken
// changes it, and then a logout ends nothing that was opened before.
func (s scsSessions) login(ctx context.Context, user string) error {
	if err := s.revoke(ctx); err != nil {
		return err
	}
	if err := s.RenewToken(ctx); err != nil {
		return err
	}
	s.Put(ctx, "user", user)
	s.Put(ctx, "handle", rand.Text())
	s.Put(ctx, "since", time.Now().UnixNano())
	return nil
}

func (s scsSessions) logout(ctx context.Context) error {
	if err := s.revoke(ctx); err != nil {
		return err
	}
	return s.Destroy(ctx)
}

// revoke ends everything that the session has opened.
func (s scsSessions) revoke(ctx context.Context) error {
	handle := s.GetString(ctx, "handle")
	if handle == "" {
		return nil
	}
	return s.revocations.Revoke(ctx, middleware.Revocation{SessionHandle: handle})
}

// A service that keeps scs.SessionManager: its event stream ends at the logout.
func ExampleWithRevocations() {
	sessions := scsSessions{scs.New(), middleware.NewRevocations()}
	auth, err := middleware.NewAuth(middleware.WithRevocations(sessions, sessions.revocations))
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		panic(err)
	}
	answer := func(do func(context.Context) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context()); err != nil {
				middleware.Refuse(w, r, err)
			}
		}
	}
	mux := http.NewServeMux() // a real service has an OriginPolicy in front of each of these
	mux.Handle("POST /login", answer(func(ctx context.Context) error { return sessions.login(ctx, "ann") }))
	mux.Handle("POST /renew", answer(func(ctx context.Context) error { return sessions.RenewToken(ctx) }))
	mux.Handle("POST /logout", answer(sessions.logout))
	mux.Handle("GET /events", middleware.Chain(http.HandlerFunc(events), auth.Handler, registry.Handler))
	server := httptest.NewTLSServer(sessions.LoadAndSave(mux))
	defer server.Close()

	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	post := func(path string) {
		resp, err := client.Post(server.URL+path, "", nil)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
	}
	post("/login")
	resp, err := client.Get(server.URL + "/events")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	post("/renew")
	post("/logout")
	_, _ = io.Copy(os.Stdout, resp.Body)
	// Output:
	// data: It rains.
	//
	// event: end
	// data: {"code":3000,"reason":"revoked"}
}

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: It rains.\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}
