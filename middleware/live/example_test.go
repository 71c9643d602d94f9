package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// sharedSecret stands for an authenticator such as sessions or bearer tokens.
type sharedSecret struct{}

func (sharedSecret) Ambient() bool { return false }

func (sharedSecret) Authenticate(r *http.Request) (middleware.Principal, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return middleware.Principal{}, middleware.ErrNoCredential
	case "Secret ann":
		return middleware.Principal{Issuer: "https://id.example", Subject: "ann", SessionHandle: "session of ann", Method: "secret"}, nil
	}
	return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonCredentialInvalid, errors.New("unknown secret"))
}

// poll is a long poll: a request that waits for news. It is a [live.Member], so it ends with
// the credential of the request.
type poll struct {
	binding live.Binding
	ended   chan *live.Cause // with room for a second cause: End does not block
	until   int64            // when it is answered without news
	timeout chan struct{}
}

func (p *poll) End(cause *live.Cause) {
	select {
	case p.ended <- cause:
	default:
	}
}

func (p *poll) Next(now int64, _ bool) int64 {
	if now < p.until {
		return p.until
	}
	select {
	case p.timeout <- struct{}{}:
	default:
	}
	return 0
}

type polls struct {
	registry *live.Registry
	news     chan string
}

func (h *polls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := &poll{ended: make(chan *live.Cause, 2), timeout: make(chan struct{}, 1)}
	if err := h.registry.Reserve(&p.binding, r); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	defer p.binding.Leave(nil) // without effect after the other one
	p.until = h.registry.Now() + int64(time.Minute)
	v, _ := middleware.VoucherFrom(r.Context())
	if err := p.binding.Bind(r.Context(), v, p); err != nil {
		middleware.Refuse(w, r, err)
		return
	}
	p.binding.Open()
	select {
	case text := <-h.news:
		fmt.Fprint(w, text)
	case <-p.timeout:
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	case cause := <-p.ended:
		p.binding.Leave(cause)
		middleware.Refuse(w, r, refusalOf(cause))
	}
}

func refusalOf(cause *live.Cause) error {
	switch {
	case errors.Is(cause, live.Restart), errors.Is(cause, live.Later):
		return middleware.Unavailable(cause)
	case errors.Is(cause, live.Forbidden):
		return middleware.Forbidden(cause)
	case errors.Is(cause, live.Revoked):
		return middleware.Unauthorized(middleware.ReasonCredentialRevoked, cause)
	}
	return middleware.Unauthorized(middleware.ReasonCredentialExpired, cause)
}

func Example() {
	revocations := middleware.NewRevocations()
	auth, err := middleware.NewAuth(middleware.WithRevocations(sharedSecret{}, revocations))
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{Limits: live.Limits{PerPrincipal: 10}})
	if err != nil {
		panic(err)
	}
	handler := &polls{registry: registry, news: make(chan string)}
	mux := http.NewServeMux()
	mux.Handle("GET /news", auth.Handler(handler))
	mux.Handle("GET /ready", registry.Ready())
	server := httptest.NewServer(mux)
	defer server.Close()

	answers := make(chan string)
	get := func() {
		r, _ := http.NewRequest(http.MethodGet, server.URL+"/news", nil)
		r.Header.Set("Authorization", "Secret ann")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusOK {
			answers <- string(body)
			return
		}
		answers <- resp.Status
	}

	go get()
	handler.news <- "It rains."
	fmt.Println(<-answers)

	go get()
	for len(registry.List("https://id.example", "ann")) == 0 {
		time.Sleep(time.Millisecond)
	}
	// The user signs out, in another request.
	_ = revocations.Revoke(context.Background(), middleware.Revocation{SessionHandle: "session of ann"})
	fmt.Println(<-answers)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(registry.Shutdown(ctx, server.Config))
	// Output:
	// It rains.
	// 401 Unauthorized
	// <nil>
}
