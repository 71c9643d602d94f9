package storetest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/coder/websocket"
	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// callList has the calls of a store, for instance "Find Find Swap".
type callList struct {
	mu   sync.Mutex
	made []string
}

func (l *callList) of(s scs.Store) scs.Store {
	return storetest.Faulty(s, storetest.Faults{Before: func(_ context.Context, c storetest.Call) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.made = append(l.made, c.Method)
		return nil
	}})
}

// during returns the calls that fn causes, with the number of those that repeat.
func (l *callList) during(fn func()) string {
	l.mu.Lock()
	l.made = nil
	l.mu.Unlock()
	fn()
	l.mu.Lock()
	defer l.mu.Unlock()
	var text []string
	for i := 0; i < len(l.made); {
		n := i
		for n < len(l.made) && l.made[n] == l.made[i] {
			n++
		}
		if text = append(text, l.made[i]); n > i+1 {
			text[len(text)-1] = fmt.Sprint(n-i, " ", l.made[i])
		}
		i = n
	}
	return strings.Join(text, ", ")
}

// announcing is an Announcer, too.
type announcing struct {
	*swapping
	followers *followers.List[middleware.Revocation]
}

// Announce implements session.Announcer.
func (s announcing) Announce(_ context.Context, v middleware.Revocation) error {
	s.followers.Tell(v)
	return nil
}

// Follow implements session.Announcer.
func (s announcing) Follow(fn func(middleware.Revocation)) (stop func()) {
	return s.followers.Follow(fn)
}

// Of the stores that swapping could be, those with one of its two optional methods.
type (
	onlyFinder  struct{ *swapping }
	onlySwapper struct{ *swapping }
)

// Swap has another signature than a Swapper's.
func (onlyFinder) Swap() {}

// FindMany has another signature than a ManyFinder's.
func (onlySwapper) FindMany() {}

// perKind are the calls with each kind of store.
type perKind struct{ plain, finder, swapper, both, all string }

// These are the round trips of the documentation of package session. A recheck of a connection
// is that of a request.
var documentedCalls = map[string]perKind{
	"a request without a cookie": {plain: "", finder: "", swapper: "", both: "", all: ""},
	"a request": {
		plain: "5 Find", finder: "Find, FindMany",
		swapper: "4 Find", both: "Find, FindMany", all: "Find, FindMany",
	},
	"a handshake": {
		plain: "5 Find", finder: "Find, FindMany",
		swapper: "4 Find", both: "Find, FindMany", all: "Find, FindMany",
	},
	"a recheck": {
		plain: "5 Find", finder: "Find, FindMany",
		swapper: "4 Find", both: "Find, FindMany", all: "Find, FindMany",
	},
	"a login": {
		plain: "3 Find, Commit, 3 Find", finder: "FindMany, Commit, FindMany",
		swapper: "3 Find, Swap, 3 Find", both: "FindMany, Swap, FindMany", all: "FindMany, Swap, FindMany",
	},
	"a change of values": {
		plain: "10 Find, Commit, 5 Find", finder: "Find, FindMany, Find, FindMany, Commit, Find, FindMany",
		swapper: "8 Find, Swap", both: "Find, FindMany, Find, FindMany, Swap", all: "Find, FindMany, Find, FindMany, Swap",
	},
	"a logout": {
		plain: "6 Find, Commit, Delete", finder: "Find, FindMany, Find, Commit, Delete",
		swapper: "5 Find, Commit, Delete", both: "Find, FindMany, Find, Commit, Delete",
		all: "Find, FindMany, Find, Commit, Delete, Announce",
	},
	"an end of one session": {
		plain: "5 Find, Commit, Delete", finder: "Find, FindMany, Commit, Delete",
		swapper: "4 Find, Commit, Delete", both: "Find, FindMany, Commit, Delete", all: "Find, FindMany, Commit, Delete, Announce",
	},
	"a sign-out of others": {
		plain:   "10 Find, Commit, Find, Commit, 3 Find, Delete",
		finder:  "Find, FindMany, Find, FindMany, Commit, Find, Commit, FindMany, Delete",
		swapper: "8 Find, 2 Swap, 3 Find, Delete", both: "Find, FindMany, Find, FindMany, 2 Swap, FindMany, Delete",
		all: "Find, FindMany, Find, FindMany, 2 Swap, FindMany, Delete, 2 Announce",
	},
	"a sign-out everywhere": {plain: "Commit", finder: "Commit", swapper: "Commit", both: "Commit", all: "Commit, Announce"},
}

func TestCallsOfAStore(t *testing.T) {
	t.Parallel()
	newStore := func() *swapping { return &swapping{MemStore: memstore.NewWithCleanupInterval(0)} }
	for kind, tt := range map[string]struct {
		store scs.Store
		want  func(perKind) string
	}{
		"plain":        {newStore().MemStore, func(k perKind) string { return k.plain }},
		"a ManyFinder": {onlyFinder{newStore()}, func(k perKind) string { return k.finder }},
		"a Swapper":    {onlySwapper{newStore()}, func(k perKind) string { return k.swapper }},
		"both":         {newStore(), func(k perKind) string { return k.both }},
		"an Announcer": {announcing{newStore(), &followers.List[middleware.Revocation]{}}, func(k perKind) string { return k.all }},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var calls callList
			s := newSite(t, session.Config{Store: calls.of(tt.store), StoreTimeout: 10 * time.Second})
			user := s.client(t)
			other, ended := s.signedIn(t, "alice").principal(), s.signedIn(t, "alice").principal().SessionHandle
			srv, bob := wstest.NewServer(t, wholeChain(t, s.Manager)), s.signedIn(t, "bob").cookie
			handshake(t, srv, bob) // the first one asks twice
			for _, step := range []struct {
				name string
				do   func()
			}{
				{"a request without a cookie", func() { user.wants(401, "/me") }},
				{"a login", func() { user.wants(200, "/login?user=alice") }},
				{"a request", func() { user.wants(200, "/me") }},
				{"a handshake", func() { handshake(t, srv, bob) }},
				{"a recheck", func() { _ = s.Alive(t.Context(), other) }},
				{"a change of values", func() { user.wants(200, "/put?value=x") }},
				{"an end of one session", func() { _ = s.End(t.Context(), "alice", ended) }},
				{"a sign-out of others", func() { user.wants(200, "/others") }},
				{"a logout", func() { user.wants(200, "/logout") }},
				{"a sign-out everywhere", func() { _ = s.LogoutEverywhere(t.Context(), "alice") }},
			} {
				if got, want := calls.during(step.do), tt.want(documentedCalls[step.name]); got != want {
					t.Errorf("%s: %q, want %q", step.name, got, want)
				}
			}
		})
	}
}

func wholeChain(t testing.TB, m *session.Manager) http.Handler {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	headers := must(middleware.NewHeaders(middleware.HeadersConfig{}))(t)
	origins := must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}}))(t)
	socket := must(ws.New(ws.Config{
		Origins: origins, Auth: must(middleware.NewAuth(m))(t), Live: must(live.New(live.Config{Log: log}))(t), Log: log,
		Serve: func(context.Context, *ws.Conn) error { return nil },
	}))(t)
	return middleware.Chain(socket, middleware.AccessLog(log), middleware.Recover(log), headers.Handler, m.Handler)
}

func handshake(t testing.TB, srv *wstest.Server, cookie string) {
	t.Helper()
	header := http.Header{"Origin": {wstest.URL}, "Cookie": {"__Host-session=" + cookie}}
	c, _, err := srv.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.CloseNow()
}

// A front has the optional methods of its store, and no others.
func TestFrontsHaveTheMethodsOfTheirStores(t *testing.T) {
	t.Parallel()
	s := &swapping{MemStore: memstore.NewWithCleanupInterval(0)}
	a := announcing{s, &followers.List[middleware.Revocation]{}}
	for name, store := range map[string]scs.Store{
		"memstore":     s.MemStore,
		"a Swapper":    onlySwapper{s},
		"a ManyFinder": onlyFinder{s},
		"both":         s,
		"an Announcer": struct {
			*memstore.MemStore
			session.Announcer
		}{s.MemStore, a},
		"an Announcer that swaps": struct {
			onlySwapper
			session.Announcer
		}{onlySwapper{s}, a},
		"an Announcer that finds": struct {
			onlyFinder
			session.Announcer
		}{onlyFinder{s}, a},
		"an Announcer that is both": a,
	} {
		for what, has := range map[string]func(scs.Store) bool{
			"Swapper":    func(s scs.Store) bool { _, ok := s.(session.Swapper); return ok },
			"ManyFinder": func(s scs.Store) bool { _, ok := s.(session.ManyFinder); return ok },
			"Announcer":  func(s scs.Store) bool { _, ok := s.(session.Announcer); return ok },
		} {
			for front, put := range map[string]scs.Store{
				"Faulty": storetest.Faulty(store, storetest.Faults{}), "StaleReads": storetest.StaleReads(store),
			} {
				if got, want := has(put), has(store); got != want {
					t.Errorf("%s of %s is a %s: %v, want %v", front, name, what, got, want)
				}
			}
		}
	}
}
