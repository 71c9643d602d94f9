package ws_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// badMember does End and Next as its faults have it.
type badMember struct {
	live.Binding
	end, next fault
}

func (m *badMember) End(cause *live.Cause) {
	if m.end != nil {
		_ = m.end()
	}
	m.Leave(cause)
}

func (m *badMember) Next(int64, bool) int64 {
	if m.next != nil {
		_ = m.next()
	}
	return 0
}

// joins binds it under the principal that the request of ann has.
func (m *badMember) joins(w *badWorld, a *middleware.Auth) {
	w.t.Helper()
	r, _ := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-User", "ann")
	v, err := a.Vouch(contextkey.Key(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.live.Reserve(&m.Binding, r); err != nil {
		w.t.Fatal(err)
	}
	if err := m.Bind(r.Context(), v, m); err != nil {
		w.t.Fatal(err)
	}
	m.Open()
}

// Faults row 37: members of other code whose End or Next is bad. The deadlines of the
// connections beside them are kept, a revocation that reaches both returns at once, and
// Shutdown in its time.
func TestConnectionsBesideBadMembers(t *testing.T) {
	for _, bad := range faults {
		for _, in := range []string{"End", "Next"} {
			t.Run(in+" "+bad.does, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { besideBadMembers(t, in, bad.do) })
			})
		}
	}
}

func besideBadMembers(t *testing.T, in string, do func(<-chan struct{}) fault) {
	life, members := 20*time.Second, badPlaces/4
	released := make(chan struct{})
	t.Cleanup(func() { close(released); time.Sleep(time.Minute) })
	list := middleware.NewRevocations()
	a := auth(t, middleware.WithRevocations(user{func(name string) (middleware.Principal, error) {
		return middleware.Principal{Issuer: "test", Subject: name, SessionHandle: "s-" + name, Expires: time.Now().Add(life)}, nil
	}}, list))
	w := serveBad(t, faulty{}, live.Config{}, func(w *badWorld, _ faulty) http.Handler { return w.byAuth(a) })
	join := func() {
		for range members {
			m := &badMember{}
			t.Cleanup(func() { m.Leave(nil) }) // one whose End panics has not left
			if in == "End" {
				m.end = do(released)
			} else {
				m.next = do(released)
			}
			m.joins(w, a)
		}
	}
	join()
	w.wantClosed(w.many(50, "/bad"), 3000, "expired", life+250*time.Millisecond)
	join()
	revoked := w.many(50, "/bad")
	time.Sleep(time.Second)
	begun := time.Now()
	revoke(t, list, middleware.Revocation{SessionHandle: "s-ann"})
	if took := time.Since(begun); took != 0 {
		t.Errorf("the revocation took %v", took)
	}
	w.wantClosed(revoked, 3000, "revoked", 0)
	good := w.many(50, "/good")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	shut := make(chan error, 1)
	begun = time.Now()
	go func() { shut <- w.live.Shutdown(ctx) }()
	w.wantClosed(good, 1012, "restart", 5*time.Second+250*time.Millisecond)
	err := <-shut
	if took := time.Since(begun); took > 13*time.Second { // its context, and the 3 s after that
		t.Errorf("Shutdown took %v, %v", took, err)
	}
	if s := w.logs.String(); strings.Contains(s, "hunter2") {
		t.Errorf("the value of a panic is in the log:\n%.2000s", s)
	}
}
