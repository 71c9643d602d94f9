package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// devices admits devices that are paired. A pairing ends when it has not been used for a while. It
// believes the name that a device sends; that of a program verifies a key.
type devices struct {
	idle time.Duration

	mu   sync.Mutex
	used map[string]time.Time // when each device last sent a request; in a program: in its database
}

func (*devices) Ambient() bool { return false }

func (d *devices) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-Device")
	if name == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	if err := d.ask(r.Context(), name); err != nil {
		return middleware.Principal{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[name] = time.Now()
	return middleware.Principal{Issuer: "https://app.example", Subject: name, Method: "device"}, nil
}

// Alive does not count as a use.
func (d *devices) Alive(ctx context.Context, p middleware.Principal) error {
	if p.Method != "device" {
		return nil
	}
	return d.ask(ctx, p.Subject)
}

// Follow has nothing to tell: the pairings end by themselves.
func (*devices) Follow(func(middleware.Revocation)) (stop func()) { return func() {} }

func (d *devices) ask(ctx context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := d.used[name].Add(d.idle)
	if !time.Now().Before(end) {
		return middleware.Unauthorized(middleware.ReasonCredentialExpired, errors.New("the pairing has not been used for too long"))
	}
	middleware.RecheckBy(ctx, end)
	return nil
}

// A stream ends when the pairing that opened it has not been used for a second. Without RecheckBy it
// would end at the next recheck, up to five minutes later.
func ExampleRecheckBy() {
	paired := &devices{idle: time.Second, used: map[string]time.Time{"sensor": time.Now()}}
	auth, err := middleware.NewAuth(paired)
	if err != nil {
		panic(err)
	}
	registry, err := live.New(live.Config{})
	if err != nil {
		panic(err)
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(auth.Handler(registry.Handler(stream)))
	defer server.Close()
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-Device", "sensor")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s", body)
	// Output:
	// event: end
	// data: {"code":3000,"reason":"expired"}
}
