package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

var _ middleware.Revocable = (*accounts)(nil) // an Alive of another form would not be asked, and nothing would say so

// accounts never admits a request: an Auth asks it about the principals of the others.
type accounts struct {
	mu        sync.Mutex
	disabled  map[string]bool
	followers map[*func(middleware.Revocation)]bool
}

func (*accounts) Ambient() bool { return false }

func (*accounts) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.ErrNoCredential
}

func (a *accounts) Alive(_ context.Context, p middleware.Principal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.disabled[p.Subject] { // in a program: a question to its database
		return middleware.Forbidden(errors.New("the account is disabled"))
	}
	return nil
}

func (a *accounts) Follow(fn func(middleware.Revocation)) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.followers[&fn] = true
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.followers, &fn)
	}
}

func (a *accounts) disable(name string) {
	a.mu.Lock()
	a.disabled[name] = true
	var tell []func(middleware.Revocation)
	for fn := range a.followers {
		tell = append(tell, *fn)
	}
	a.mu.Unlock() // a follower may ask Alive
	for _, fn := range tell {
		fn(middleware.Revocation{Subject: name})
	}
}

// A user is disabled. Every credential of theirs is refused from then on, one that is issued
// later too, and their open connections end: here at once, in another process at the next recheck.
func ExampleRevocable() {
	users := &accounts{disabled: map[string]bool{}, followers: map[*func(middleware.Revocation)]bool{}}
	auth, err := middleware.NewAuth(named{}, users) // in a program: sessions, tokens and users
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		panic(err)
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: It rains.\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(auth.Handler(registry.Handler(stream)))
	defer server.Close()
	get := func(name string) *http.Response {
		r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
		r.Header.Set("X-Name", name)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		return resp
	}

	open := get("ann")
	defer open.Body.Close()
	users.disable("ann")
	body, _ := io.ReadAll(open.Body)
	fmt.Println(strings.TrimSpace(string(body)))
	again := get("ann")
	defer again.Body.Close()
	fmt.Println(again.Status)
	// Output:
	// data: It rains.
	//
	// event: end
	// data: {"code":3003,"reason":"forbidden"}
	// 403 Forbidden
}

// named believes the name that a client sends. It stands for an authenticator of a program.
type named struct{}

func (named) Ambient() bool { return false }

func (named) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-Name")
	if name == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	return middleware.Principal{Issuer: "https://app.example", Subject: name, Method: "named"}, nil
}
