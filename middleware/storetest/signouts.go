package storetest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// SignOuts has a thief renew a session in a loop on one node, while the user signs out
// everywhere on another, as many times as rounds says. It fails if a cookie that the thief
// ever had is good afterwards. Each node has a handle of its own from the open function. This is
// a test of package session on the store: one that passes [SessionStore] passes it too.
func SignOuts(t *testing.T, rounds int, open func(testing.TB) scs.Store) {
	t.Helper()
	t.Run("SignOuts", func(t *testing.T) { signOuts(t, rounds, open) })
}

func signOuts(t testing.TB, rounds int, open func(testing.TB) scs.Store) {
	t.Helper()
	began := time.Now()
	here, there := storeHandleOf(t, open), storeHandleOf(t, open)
	list, err := session.NewRevocations(here.s)
	if err != nil {
		t.Fatal(err)
	}
	var next, renewals, survivors atomic.Int64
	together(atOnce(t, here.s), func(int) {
		for i := int(next.Add(1)); i <= rounds && !t.Failed() && survivors.Load() < 10; i = int(next.Add(1)) {
			r := &round{t: t, here: newNode(t, here.s), list: list, begin: make(chan struct{})}
			r.there, r.at = newNode(t, r.hooked(there.s, i)), i
			r.play()
			renewals.Add(int64(len(r.cookies) - 1))
			survivors.Add(int64(r.survivors))
		}
	})
	t.Logf("%d rounds, %d renewals, %d survivors, %v", rounds, renewals.Load(), survivors.Load(), time.Since(began).Round(time.Millisecond))
	if n := survivors.Load(); n > 0 {
		t.Errorf("%d cookies of a thief are good after a sign-out everywhere", n)
	}
	if n := renewals.Load(); n < int64(rounds)/2 {
		t.Errorf("the thief has renewed %d times in %d rounds: too few to say anything", n, rounds)
	}
}

// atOnce is how many rounds are played at once: on a slow store more, since most of them wait.
func atOnce(t testing.TB, s scs.Store) int {
	t.Helper()
	began := time.Now()
	if status, _ := newNode(t, s).get("/login?user=first-"+newKey(), ""); status != http.StatusOK {
		t.Fatalf("login: %d", status)
	}
	if time.Since(began) > 5*time.Millisecond {
		return 64
	}
	return 8
}

// round is one sign-out of one user.
type round struct {
	t           testing.TB
	at          int
	here, there *node
	list        middleware.Revocations // on the store of here
	begin       chan struct{}          // closed when the sign-out begins
	once        sync.Once
	calls       atomic.Int64
	cookies     []string // of the thief
	survivors   int
}

// hooked has the sign-out begin before another call of the thief in each round, over some
// renewals. Every other round has the store itself, since package session calls some stores
// in another way, and the sign-out begins after a renewal.
func (r *round) hooked(s scs.Store, i int) scs.Store {
	if i%2 == 0 {
		return s
	}
	return Faulty(s, Faults{Before: func(context.Context, Call) error {
		if r.calls.Add(1) == int64(1+i/2%40) {
			r.start()
			runtime.Gosched() // the sign-out is next, and does not wait for the thief's time slice
		}
		return nil
	}})
}

func (r *round) start() { r.once.Do(func() { close(r.begin) }) }

func (r *round) play() {
	subject := "user-" + newKey()
	status, cookie := r.here.get("/login?user="+subject, "")
	if status != http.StatusOK {
		r.t.Errorf("login: %d", status)
		return
	}
	r.cookies = []string{cookie}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.start()
		r.renew()
	}()
	<-r.begin
	err := r.signOut(subject)
	for range 5 {
		if err == nil {
			break
		}
		err = r.signOut(subject) // one without an answer is tried again
	}
	if err != nil {
		r.t.Errorf("sign-out: %v", err)
	}
	<-done
	for _, cookie := range r.cookies {
		if r.here.alive(r.t, cookie) || r.there.alive(r.t, cookie) {
			r.survivors++
		}
	}
}

// renew ends when the thief is refused.
func (r *round) renew() {
	for n := range 200 {
		if r.at%2 == 0 && n == r.at/2%4 {
			r.start()
		}
		status, cookie := r.there.get("/renew", r.cookies[len(r.cookies)-1])
		switch status {
		case http.StatusOK:
			r.cookies = append(r.cookies, cookie)
		case http.StatusUnauthorized:
			return
		case http.StatusServiceUnavailable: // the thief tries again
		default:
			r.t.Errorf("renewal: %d", status)
			return
		}
	}
}

func (r *round) signOut(subject string) error {
	if r.at%3 == 0 {
		return r.list.Revoke(context.Background(), middleware.Revocation{Issuer: "session", Subject: subject})
	}
	return r.here.m.LogoutEverywhere(context.Background(), subject)
}

// node is a Manager of its own, as another process has.
type node struct {
	m *session.Manager
	h http.Handler
}

func newNode(t testing.TB, s scs.Store) *node {
	t.Helper()
	m, err := session.New(session.Config{Store: s, StoreTimeout: 10 * time.Second})
	if err != nil {
		t.Error(err)
	}
	return &node{m, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		do := m.LogoutOthers
		if user := r.FormValue("user"); user != "" {
			do = func(ctx context.Context) error { return m.Login(ctx, session.Identity{Subject: user}) }
		}
		if err := do(r.Context()); err != nil {
			middleware.Refuse(w, r, err)
		}
	}))}
}

func request(path, cookie string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://app.example"+path, nil)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: cookie})
	}
	return r
}

// get returns the status, and the cookie that the client has then.
func (n *node) get(path, cookie string) (status int, after string) {
	w := httptest.NewRecorder()
	n.h.ServeHTTP(w, request(path, cookie))
	for _, c := range w.Result().Cookies() {
		cookie = c.Value
	}
	return w.Code, cookie
}

// alive reports whether the cookie is of a live session. It fails without an answer.
func (n *node) alive(t testing.TB, cookie string) bool {
	t.Helper()
	_, err := n.m.Authenticate(request("/", cookie))
	var f *middleware.Refusal
	if err != nil && !errors.Is(err, middleware.ErrNoCredential) && (!errors.As(err, &f) || f.Status != http.StatusUnauthorized) {
		t.Errorf("no answer about a session: %v", err)
	}
	return err == nil
}
