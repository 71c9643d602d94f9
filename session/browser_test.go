package session_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

const hostCookie = "__Host-session"

var errDown = errors.New("connection refused by the test")

// newManager fails the test for a Config that New refuses. It logs nothing
// without Config.Log.
func newManager(t testing.TB, cfg session.Config) *session.Manager {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// browser keeps the cookies of one origin and asks a handler without a network.
type browser struct {
	t       testing.TB
	h       http.Handler
	cookies map[string]string
}

func newBrowser(t testing.TB, h http.Handler) *browser {
	return &browser{t: t, h: h, cookies: map[string]string{}}
}

// get asks for a path, with header lines as name, value pairs.
func (b *browser) get(path string, header ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest("GET", "https://app.example"+path, nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
	return res
}

// wants asks for a path and compares status and the start of the body.
func (b *browser) wants(path string, status int, body string) *http.Response {
	b.t.Helper()
	res := b.get(path)
	got, _ := io.ReadAll(res.Body)
	if res.StatusCode != status || !strings.Contains(string(got), body) {
		b.t.Errorf("GET %s: %d %s, want %d %s", path, res.StatusCode, got, status, body)
	}
	return res
}

const note = session.Key[string]("note")

// app is a small site with every operation behind a path.
func app(t testing.TB, m *session.Manager) http.Handler {
	t.Helper()
	auth, err := middleware.NewAuth(m)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	do := func(path string, fn func(r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(r); err != nil {
				middleware.Refuse(w, r, err)
				return
			}
			_, _ = io.WriteString(w, "done")
		})
	}
	do("/page", func(*http.Request) error { return nil })
	do("/login", func(r *http.Request) error {
		return m.Login(r.Context(), session.Identity{
			Subject: r.FormValue("u"), Scopes: []string{"chat"},
			Roles: r.Form["r"], Attributes: map[string]string{"device": r.FormValue("device")},
			Provider: provider(r.FormValue("sub"), r.FormValue("sid")),
		})
	})
	do("/provider", func(r *http.Request) error {
		return m.Revocations().Revoke(r.Context(), endAtProvider(r.FormValue("sub"), r.FormValue("sid")))
	})
	do("/logout", func(r *http.Request) error { return m.Logout(r.Context()) })
	do("/others", func(r *http.Request) error { return m.LogoutOthers(r.Context()) })
	do("/everywhere", func(r *http.Request) error { return m.LogoutEverywhere(r.Context(), r.FormValue("u")) })
	do("/roles", func(r *http.Request) error { return m.SetRoles(r.Context(), r.FormValue("u"), r.Form["r"]) })
	do("/put", func(r *http.Request) error { return note.Put(m.Values(r.Context()), r.FormValue("v")) })
	do("/delete", func(r *http.Request) error { return note.Delete(m.Values(r.Context())) })
	mux.HandleFunc("/note", func(w http.ResponseWriter, r *http.Request) {
		v, ok, err := note.Get(m.Values(r.Context()))
		if !ok || err != nil {
			v = "none"
		}
		_, _ = io.WriteString(w, v)
	})
	mux.Handle("/me", auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := middleware.FromContext(r.Context())
		_, _ = io.WriteString(w, p.Subject)
	})))
	return m.Handler(mux)
}

// shakyStore is a store with a switch for each fault.
type shakyStore struct {
	*memstore.MemStore
	mu            sync.Mutex
	find          func(key string) error // called first, where set
	commit        func(key string) error
	remove        func(key string) error
	reads, writes int
}

func newShakyStore() *shakyStore {
	return &shakyStore{MemStore: memstore.NewWithCleanupInterval(0)}
}

// set changes the faults.
func (s *shakyStore) set(change func(s *shakyStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shakyStore) down() {
	fail := func(string) error { return errDown }
	s.set(func(s *shakyStore) { s.find, s.commit, s.remove = fail, fail, fail })
}

func (s *shakyStore) up() {
	s.set(func(s *shakyStore) { s.find, s.commit, s.remove = nil, nil, nil })
}

func (s *shakyStore) counts() (reads, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.writes
}

func (s *shakyStore) fault(pick func(s *shakyStore) func(string) error, key string) error {
	s.mu.Lock()
	fn := pick(s)
	s.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(key)
}

func (s *shakyStore) Find(key string) ([]byte, bool, error) {
	if err := s.fault(func(s *shakyStore) func(string) error { s.reads++; return s.find }, key); err != nil {
		return nil, false, err
	}
	return s.MemStore.Find(key)
}

func (s *shakyStore) Commit(key string, b []byte, expiry time.Time) error {
	if err := s.fault(func(s *shakyStore) func(string) error { s.writes++; return s.commit }, key); err != nil {
		return err
	}
	return s.MemStore.Commit(key, b, expiry)
}

func (s *shakyStore) Delete(key string) error {
	if err := s.fault(func(s *shakyStore) func(string) error { s.writes++; return s.remove }, key); err != nil {
		return err
	}
	return s.MemStore.Delete(key)
}

// records returns how many live records the store holds.
func (s *shakyStore) records(t testing.TB) int {
	t.Helper()
	all, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range all {
		if strings.HasPrefix(string(b), "wss") { // not one of the entries beside the records
			n++
		}
	}
	return n
}

// principalOf asks as a server would for the browser's cookie.
func (b *browser) principalOf(m *session.Manager) (middleware.Principal, error) {
	r := httptest.NewRequest("GET", "https://app.example/", nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return m.Authenticate(r)
}

// mustPrincipal fails the test if the browser is not signed in.
func (b *browser) mustPrincipal(m *session.Manager) middleware.Principal {
	b.t.Helper()
	p, err := b.principalOf(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// answers reports the status and reason of a refusal, or the error's text.
func answers(err error) (int, middleware.Reason) {
	var f *middleware.Refusal
	if errors.As(err, &f) {
		return f.Status, f.Reason
	}
	return 0, ""
}

// wantsRefusal compares the status and reason of a refusal.
func wantsRefusal(t testing.TB, what string, err error, status int, reason middleware.Reason) {
	t.Helper()
	if s, r := answers(err); s != status || r != reason {
		t.Errorf("%s: %v, want %d %s", what, err, status, reason)
	}
}

// downRevocations fails on command. It is not the type that Config's default has, so
// that contexts with a time-out are used too.
type downRevocations struct {
	middleware.Revocations
	revoke, revoked error
	asked           func() // runs after each answer of Revoked
}

func (d *downRevocations) Revoke(ctx context.Context, v middleware.Revocation) error {
	if d.revoke != nil {
		return d.revoke
	}
	return d.Revocations.Revoke(ctx, v)
}

func (d *downRevocations) Revoked(ctx context.Context, p middleware.Principal) (bool, error) {
	if d.revoked != nil {
		return false, d.revoked
	}
	yes, err := d.Revocations.Revoked(ctx, p)
	if d.asked != nil {
		d.asked()
	}
	return yes, err
}
