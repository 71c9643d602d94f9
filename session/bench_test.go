package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/session"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// reader returns a function that has h read one session, over and over.
func reader(tb testing.TB, h http.Handler) func() {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "https://app.example/login", nil))
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 {
		tb.Fatalf("cookies: %v", cookies)
	}
	r := httptest.NewRequest("GET", "https://app.example/read", nil)
	r.AddCookie(cookies[0])
	w := discard{http.Header{}}
	return func() {
		clear(w.h)
		h.ServeHTTP(w, r)
	}
}

// ours has the same three values in its session as theirs.
func ours(tb testing.TB) func() {
	m := newManager(tb, session.Config{Store: memstore.NewWithCleanupInterval(0)})
	return reader(tb, m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v := m.Values(r.Context())
		if r.URL.Path == "/login" {
			_ = m.Login(r.Context(), session.Identity{Subject: "alice", Scopes: []string{"chat"}})
			_, _ = note.Put(v, "a note of some length"), session.Key[string]("theme").Put(v, "dark")
			return
		}
		if p, err := m.Authenticate(r); err != nil || p.Subject != "alice" {
			tb.Error(err)
		}
	})))
}

func theirs(tb testing.TB) func() {
	sm := scs.New()
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.HashTokenInStore = true
	return reader(tb, sm.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			sm.Put(r.Context(), "subject", "alice")
			sm.Put(r.Context(), "note", "a note of some length")
			sm.Put(r.Context(), "theme", "dark")
			return
		}
		if sm.GetString(r.Context(), "subject") != "alice" {
			tb.Error("not loaded")
		}
	})))
}

// One request that reads its session: ours with Authenticate (revocation asked in
// both), scs without an idle time-out, its faster way.
func BenchmarkRead(b *testing.B) {
	for name, setup := range map[string]func(testing.TB) func(){"securews": ours, "scs": theirs} {
		b.Run(name, func(b *testing.B) {
			read := setup(b)
			b.ReportAllocs()
			for b.Loop() {
				read()
			}
		})
	}
}

func TestReadAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(200, ours(t)); n > 20 {
		t.Errorf("%v allocations to read a session, want at most 20", n)
	}
}
