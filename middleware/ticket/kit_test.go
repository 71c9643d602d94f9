package ticket_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

const (
	app   = "https://app.example"
	other = "https://other.example"
)

// user authenticates by a header, as the principal that its field returns.
type user struct {
	principal func(name string) middleware.Principal
}

func (user) Ambient() bool { return false }

func (u user) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-User")
	switch {
	case name == "":
		return middleware.Principal{}, middleware.ErrNoCredential
	case u.principal != nil:
		return u.principal(name), nil
	}
	return ann(name), nil
}

var signedIn = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func ann(name string) middleware.Principal {
	return middleware.Principal{
		Issuer: "https://id.example", Subject: name, SessionHandle: "s-" + name, TokenHandle: "t-" + name, Method: "session",
		Scopes: []string{"read", "write"}, Attributes: map[string]string{"tenant": "t1"}, IssuedAt: signedIn,
	}
}

func origins(t testing.TB, missing bool) *middleware.OriginPolicy {
	t.Helper()
	p, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{app, other}, AllowMissing: missing})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func auth(t testing.TB, list ...middleware.Authenticator) *middleware.Auth {
	t.Helper()
	a, err := middleware.NewAuth(list...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// unlimited is a rate that tests do not reach.
func unlimited(t testing.TB) *middleware.RateLimit {
	t.Helper()
	l, err := middleware.NewRateLimit(middleware.RateLimitConfig{Events: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newTickets(t testing.TB, cfg ticket.Config) *ticket.Tickets {
	t.Helper()
	if cfg.Auth == nil {
		cfg.Auth = auth(t, user{})
	}
	if cfg.Path == "" {
		cfg.Path = "/ws"
	}
	if cfg.Origins == nil {
		cfg.Origins = origins(t, false)
	}
	if cfg.Rate == nil {
		cfg.Rate = unlimited(t)
	}
	tickets, err := ticket.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tickets
}

// issued is the answer of protocol section 2.
type issued struct {
	Ticket       string `json:"ticket"`
	CID          string `json:"cid"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshAfter int64  `json:"refresh_after"`
	Subprotocol  string `json:"subprotocol"`
}

func post(origin, name string) *http.Request {
	r := httptest.NewRequest("POST", app+"/ticket", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if name != "" {
		r.Header.Set("X-User", name)
	}
	return r
}

func serve(h http.Handler, r *http.Request) (*httptest.ResponseRecorder, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var problem struct{ Reason string }
	_ = json.Unmarshal(w.Body.Bytes(), &problem)
	return w, fmt.Sprintf("%d %s", w.Code, problem.Reason)
}

func fetch(t testing.TB, tickets *ticket.Tickets, origin, name string) issued {
	t.Helper()
	w, _ := serve(tickets.Issue(), post(origin, name))
	var a issued
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || len(a.Ticket) != 43 {
		t.Fatalf("no ticket: %d %s", w.Code, w.Body)
	}
	return a
}

// handshake is one of RFC 6455 §1.3, for target, with further header lines.
func handshake(target, origin string, header ...string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "app.example"
	r.Header["Upgrade"] = []string{"websocket"}
	r.Header["Connection"] = []string{"Upgrade"}
	r.Header["Sec-Websocket-Version"] = []string{"13"}
	r.Header["Sec-Websocket-Key"] = []string{"dGhlIHNhbXBsZSBub25jZQ=="}
	if origin != "" {
		r.Header["Origin"] = []string{origin}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func offering(protocols string) *http.Request {
	return handshake("/ws", app, "Sec-WebSocket-Protocol", protocols)
}

// outcome is "accepted", "nothing", or the refusal's status and reason.
func outcome(err error) string {
	var f *middleware.Refusal
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, middleware.ErrNoCredential):
		return "nothing"
	case errors.As(err, &f):
		return fmt.Sprintf("%d %s", f.Status, f.Reason)
	}
	return err.Error()
}
