package bearer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
)

// countingStore counts how often a session is read.
type countingStore struct {
	scs.Store
	reads atomic.Int32
}

func (s *countingStore) Find(key string) ([]byte, bool, error) {
	b, found, err := s.Store.Find(key)
	if bytes.HasPrefix(b, []byte("wss")) { // the record, not what stands beside it
		s.reads.Add(1)
	}
	return b, found, err
}

// countingRevocations counts how often a token is asked about.
type countingRevocations struct {
	middleware.Revocations
	asked *atomic.Int32
}

func (c *countingRevocations) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	c.asked.Add(1)
	return c.Revocations.Revoked(ctx, p)
}

// service is the wiring of a program: sessions, tokens that name them, and tickets for both.
type service struct {
	site
	store       *countingStore
	revocations middleware.Revocations // of the tokens
	asked       atomic.Int32
	rest        *middleware.Auth
	socket      *middleware.Auth
	tickets     *ticket.Tickets
}

func newService(t *testing.T) *service {
	store := &countingStore{Store: memstore.NewWithCleanupInterval(0)}
	s := newServiceOn(t, store)
	s.store = store
	return s
}

// newServiceOn keeps the sessions in the store; nil: in that of package session.
func newServiceOn(t *testing.T, store scs.Store) *service {
	t.Helper()
	s := &service{}
	s.site = newSite(t, session.Config{Store: store})
	cfg := config()
	cfg.Sessions = s.sessions
	s.revocations = middleware.NewRevocations()
	cfg.Revocations = &countingRevocations{Revocations: s.revocations, asked: &s.asked}
	s.tokens = newAuthenticator(t, cfg)
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	if s.rest, err = middleware.NewAuth(s.sessions, s.tokens); err != nil {
		t.Fatal(err)
	}
	if s.tickets, err = ticket.New(ticket.Config{Auth: s.rest, Path: "/ws", Origins: origins}); err != nil {
		t.Fatal(err)
	}
	if s.socket, err = middleware.NewAuth(s.tickets, s.tokens); err != nil {
		t.Fatal(err)
	}
	return s
}

func withCookies(r *http.Request, cookies []*http.Cookie) *http.Request {
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// fetchTicket returns a handshake with a ticket that r's credential was traded for.
func (s *service) fetchTicket(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	r.Method = "POST"
	r.Header.Set("Origin", audience)
	rec := httptest.NewRecorder()
	s.tickets.Issue().ServeHTTP(rec, r)
	var answer struct{ Subprotocol string }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
		t.Fatalf("no ticket: %d %s", rec.Code, rec.Body)
	}
	h := httptest.NewRequest("GET", "https://api.example/ws", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Origin": audience, "Sec-Websocket-Protocol": "chat, " + answer.Subprotocol,
	} {
		h.Header.Set(name, value)
	}
	return h
}

// Each Revocable is asked exactly once per request, however they are nested.
func TestAnAuthAsksEachOnce(t *testing.T) {
	s := newService(t)
	cookies, handle := s.login(t, "alice")
	plain := func() *http.Request { return httptest.NewRequest("GET", "https://api.example/", nil) }
	bound := func() *http.Request { return request(token(header(), claims().with("sid", handle))) }
	for _, c := range []struct {
		name            string
		auth            *middleware.Auth
		r               *http.Request
		reads, askedFor int32
	}{
		{name: "a cookie", auth: s.rest, r: withCookies(plain(), cookies), reads: 1},
		{name: "a token that names a session", auth: s.rest, r: bound(), reads: 1, askedFor: 1},
		{name: "a token that names none", auth: s.rest, r: request(token(header(), claims())), askedFor: 1},
		{name: "a token beside tickets", auth: s.socket, r: bound(), reads: 1, askedFor: 1},
		{name: "a ticket of a session", auth: s.socket, r: s.fetchTicket(t, withCookies(plain(), cookies)), reads: 1},
		{name: "a ticket of a token that names a session", auth: s.socket, r: s.fetchTicket(t, bound()), reads: 1, askedFor: 1},
		{name: "a ticket of a token that names none", auth: s.socket, r: s.fetchTicket(t, request(token(header(), claims()))), askedFor: 1},
	} {
		s.store.reads.Store(0)
		s.asked.Store(0)
		if _, err := c.auth.Authenticate(c.r); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if reads, asked := s.store.reads.Load(), s.asked.Load(); reads != c.reads || asked != c.askedFor {
			t.Errorf("%s: the session was read %d times, the token asked about %d times; want %d and %d",
				c.name, reads, asked, c.reads, c.askedFor)
		}
	}
}
