package ws_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// fault is what an implementation of one of our interfaces does wrong. The nil fault is
// nothing.
type fault func() error

// Find, Commit and Delete are those of scs.Store, Put and Consume of ticket.Store, Allow of
// middleware.Limiter, and the rest is that of an Authenticator and of Revocations.
type faulty struct {
	user
	middleware.Revocations
	in    string // the method that is faulty; "": each of them
	fault fault
}

func (f faulty) do(in string) error {
	if (f.in == in || f.in == "") && f.fault != nil {
		return f.fault()
	}
	return nil
}

func (f faulty) Authenticate(r *http.Request) (middleware.Principal, error) {
	if err := f.do("Authenticate"); err != nil {
		return middleware.Principal{}, err
	}
	return f.user.Authenticate(r)
}

func (f faulty) Alive(context.Context, middleware.Principal) error { return f.do("Alive") }

func (f faulty) Revoked(context.Context, middleware.Principal) (bool, error) {
	return false, f.do("Revoked")
}

func (f faulty) Follow(func(middleware.Revocation)) (stop func()) {
	_ = f.do("Follow")
	return func() {}
}

func (f faulty) Find(string) ([]byte, bool, error)    { return nil, false, f.do("Find") }
func (faulty) Commit(string, []byte, time.Time) error { return nil }
func (faulty) Delete(string) error                    { return nil }
func (f faulty) Consume(context.Context, string) ([]byte, error) {
	return nil, errors.Join(f.do("Consume"), ticket.ErrNotFound)
}

func (faulty) Put(context.Context, string, []byte, time.Duration) error { return nil }

func (f faulty) Allow(context.Context, string) (time.Duration, error) { return 0, f.do("Allow") }

func (f faulty) authorize(*http.Request, middleware.Principal) (any, error) {
	return nil, f.do("Authorize")
}

// badWorld has a good route and a bad one on one registry, whose places are as many as the
// handshakes of a test.
type badWorld struct {
	t    *testing.T
	live *live.Registry
	l    *wstest.Listener
	logs *logs
}

var badPlaces = func() int {
	if underRace() {
		return 200
	}
	return 1000
}()

// serveBad serves bad(f) at /bad, and a handler without a fault at /good.
func serveBad(t *testing.T, f faulty, of live.Config, bad func(*badWorld, faulty) http.Handler) *badWorld {
	t.Helper()
	w := &badWorld{t: t, l: wstest.NewListener(), logs: &logs{}}
	of.Limits = live.Limits{Connections: badPlaces, PerPrincipal: badPlaces}
	of.Log = w.logs.logger()
	w.live = registry(t, of)
	mux := http.NewServeMux()
	mux.Handle("/good", w.handler(ws.Config{Auth: revokedBy(t, middleware.NewRevocations())}))
	mux.Handle("/bad", bad(w, f))
	srv := quiet(mux)
	srv.ErrorLog.SetOutput(w.logs) // where net/http writes the value of a panic
	done := make(chan error, 1)
	go func() { done <- srv.Serve(w.l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		for _, c := range w.l.Conns() {
			_ = c.Close()
		}
		<-done
	})
	return w
}

func (w *badWorld) handler(cfg ws.Config) *ws.Handler {
	cfg.Live, cfg.Log, cfg.DangerouslyAllowPlaintext = w.live, w.logs.logger(), true
	cfg.Subprotocols = []string{"chat"}
	return handler(w.t, cfg)
}

func (w *badWorld) byAuth(list ...middleware.Authenticator) http.Handler {
	return w.handler(ws.Config{Auth: auth(w.t, list...)})
}

// answered is how one handshake was answered.
type answered struct {
	conn   net.Conn
	status int
	after  time.Duration
}

// many has n handshakes answered at once.
func (w *badWorld) many(n int, path string) []answered {
	all := make([]answered, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = w.one(path) })
	}
	wg.Wait()
	return all
}

// one carries every kind of credential that a bad route may look for.
func (w *badWorld) one(path string) answered {
	secret := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	edits := []string{"GET " + path + " HTTP/1.1", "X-User: ann"}
	if path == "/bad" {
		edits = append(edits, "Cookie: __Host-session="+secret, "Sec-WebSocket-Protocol: chat, ticket."+secret)
	}
	begun := time.Now()
	conn, res := open(w.t, w.l, edits...)
	return answered{conn, res.StatusCode, time.Since(begun)}
}

func (w *badWorld) want(all []answered, sentence string, status int, latest time.Duration) {
	w.t.Helper()
	for i, a := range all {
		if a.status != status || a.after > latest {
			w.t.Fatalf("%s: number %d was answered %d after %v, want %d within %v", sentence, i, a.status, a.after, status, latest)
		}
	}
}

// An implementation may sleep, may never return whatever its context does, and may panic.
var faults = []struct {
	does   string
	status int // of a handshake that meets it; 0: as its row says
	do     func(released <-chan struct{}) fault
}{
	{"sleeps for 3 s", 503, func(<-chan struct{}) fault {
		return func() error { time.Sleep(3 * time.Second); return nil }
	}},
	{"never returns", 503, func(released <-chan struct{}) fault {
		return func() error { <-released; return nil }
	}},
	{"panics", 500, func(<-chan struct{}) fault {
		return func() error { panic("hunter2") }
	}},
}

// Faults row 37, findings L9 and L11, with 1,000 handshakes at once: a bad implementation costs the handshakes that need it
// an answer of 503 or 500 within 2 s, and nothing else: no other handshake, no place, no
// text in a log.
func TestHandshakesWithABadImplementation(t *testing.T) {
	for _, tt := range []struct {
		in    string // the interface and its method
		of    string // the faulty method
		panic int    // the answer if it panics, unless 500
		bad   func(*badWorld, faulty) http.Handler
	}{
		{in: "Authenticator.Authenticate", of: "Authenticate", bad: func(w *badWorld, f faulty) http.Handler { return w.byAuth(f) }},
		{in: "Revocable.Alive", of: "Alive", bad: func(w *badWorld, f faulty) http.Handler { return w.byAuth(f) }},
		{in: "Revocable.Follow", of: "Follow", panic: 503, bad: func(w *badWorld, f faulty) http.Handler { return w.byAuth(f) }},
		{in: "Revocations.Revoked", of: "Revoked", bad: func(w *badWorld, f faulty) http.Handler {
			return w.byAuth(middleware.WithRevocations(user{}, f))
		}},
		{in: "Revocations.Follow", of: "Follow", panic: 503, bad: func(w *badWorld, f faulty) http.Handler {
			return w.byAuth(middleware.WithRevocations(user{}, f))
		}},
		{in: "Revocations of sessions", of: "Follow", panic: 503, bad: func(w *badWorld, f faulty) http.Handler {
			m, err := session.New(session.Config{Revocations: f, Log: w.logs.logger()})
			if err != nil {
				w.t.Fatal(err)
			}
			return w.byAuth(m, user{}) // without a session, the user is recognized
		}},
		{in: "scs.Store of sessions", of: "Find", bad: func(w *badWorld, f faulty) http.Handler {
			m, err := session.New(session.Config{Store: f, Log: w.logs.logger()})
			if err != nil {
				w.t.Fatal(err)
			}
			return w.byAuth(m)
		}},
		{in: "ticket.Store", of: "Consume", bad: func(w *badWorld, f faulty) http.Handler {
			tickets, err := ticket.New(ticket.Config{Auth: auth(w.t, user{}), Path: "/bad", Origins: origins(w.t, wstest.URL), Store: f})
			if err != nil {
				w.t.Fatal(err)
			}
			return w.byAuth(tickets)
		}},
		{in: "Limiter of RateLimit", of: "Allow", bad: func(w *badWorld, f faulty) http.Handler {
			limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Limiter: f})
			if err != nil {
				w.t.Fatal(err)
			}
			log := w.logs.logger()
			return middleware.Chain(w.byAuth(user{}), middleware.AccessLog(log), limit.Handler)
		}},
		{in: "Config.Authorize", of: "Authorize", bad: func(w *badWorld, f faulty) http.Handler {
			return w.handler(ws.Config{Auth: auth(w.t, user{}), Authorize: f.authorize})
		}},
	} {
		for _, bad := range faults {
			t.Run(tt.in+" "+bad.does, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					released := make(chan struct{})
					t.Cleanup(func() { close(released); time.Sleep(time.Minute) }) // in fake time, so that all calls return
					f := faulty{Revocations: middleware.NewRevocations(), in: tt.of, fault: bad.do(released)}
					w := serveBad(t, f, live.Config{}, tt.bad)
					status := bad.status
					if bad.does == "panics" && tt.panic != 0 {
						status = tt.panic
					}
					badHandshakes(w, status)
				})
			})
		}
	}
}

func badHandshakes(w *badWorld, status int) {
	w.t.Helper()
	var good, bad []answered
	var both sync.WaitGroup
	both.Go(func() { good = w.many(badPlaces/2, "/good") })
	both.Go(func() { bad = w.many(badPlaces/2, "/bad") })
	both.Wait()
	w.want(good, "a good handshake beside bad ones", 101, 0)
	w.want(bad, "a bad handshake", status, 2*time.Second)
	synctest.Wait()
	w.want(w.many(badPlaces/2, "/good"), "a good handshake in the place of a bad one", 101, 0)
	w.want(w.many(1, "/good"), "one more than there are places", 503, 0)
	if s := w.logs.String(); strings.Contains(s, "hunter2") {
		w.t.Errorf("the value of a panic is in the log:\n%.2000s", s)
	}
}

// Faults row 37: a handshake whose every step is slow is bounded as one with a single step.
func TestHandshakeWithManySlowImplementations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := faulty{Revocations: middleware.NewRevocations(), fault: func() error { time.Sleep(900 * time.Millisecond); return nil }}
		w := serveBad(t, f, live.Config{}, func(w *badWorld, f faulty) http.Handler {
			return w.handler(ws.Config{Auth: auth(w.t, f,
				middleware.WithRevocations(admit(func(*http.Request) (middleware.Principal, error) {
					return middleware.Principal{}, middleware.ErrNoCredential
				}), f)), Authorize: f.authorize})
		})
		w.want(w.many(10, "/bad"), "a handshake of several slow steps", 503, 2*time.Second)
		w.want(w.many(badPlaces, "/good"), "a good handshake in its place", 101, 0)
		time.Sleep(time.Minute) // in fake time, so that all calls return
	})
}

// Faults row 37: Config.Events of a registry is called for every connection, and none waits
// for it.
func TestConnectionsWithBadEvents(t *testing.T) {
	for _, bad := range faults {
		t.Run(bad.does, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				released := make(chan struct{})
				do := bad.do(released)
				w := serveBad(t, faulty{}, live.Config{Events: func(live.Event) { _ = do() }}, func(w *badWorld, _ faulty) http.Handler {
					return w.byAuth(admit(func(*http.Request) (middleware.Principal, error) {
						return middleware.Principal{}, middleware.Unauthorized(middleware.ReasonCredentialInvalid, errors.New("unknown"))
					}))
				})
				badHandshakes(w, 401)
				begun := time.Now()
				shutdown(t.Context(), t, w.live)
				// The spread is 5 s, and the last events get a moment.
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("Shutdown took %v", took)
				}
				close(released)
				time.Sleep(4 * time.Hour) // in fake time, so that all calls return
			})
		})
	}
}

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

// wantClosed wants each of the connections to end so, and all of them in time.
func (w *badWorld) wantClosed(all []answered, code uint16, reason string, latest time.Duration) {
	w.t.Helper()
	begun := time.Now()
	var each sync.WaitGroup
	for _, a := range all {
		each.Go(func() {
			c := &raw{w.t, a.conn, bufio.NewReader(a.conn)}
			opcode, payload, err := c.next()
			want := string(binary.BigEndian.AppendUint16(nil, code)) + reason
			if opcode != 8 || payload != want || time.Since(begun) > latest {
				w.t.Errorf("opcode %d, %q, %v after %v; want a close frame %d %q within %v",
					opcode, payload, err, time.Since(begun), code, reason, latest)
			}
			_ = a.conn.Close()
		})
	}
	each.Wait()
}

// Faults row 37, finding L11: 1,500 connections are asked about again, 500 of them with a bad
// answer. None whose answer is good ends as `later`, however long it waits for its turn, and
// those of another Auth do not notice. An Alive that never returns has answers for no one.
func TestRechecksWithABadAlive(t *testing.T) {
	for i, ends := range [...]map[string]string{
		{"bad": "", "good": "", "other": ""},
		{"bad": "later", "other": ""},
		{"bad": "later", "good": "", "other": ""},
	} {
		t.Run(faults[i].does, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				released := make(chan struct{})
				t.Cleanup(func() { close(released); time.Sleep(time.Minute) })
				recheckMany(t, faults[i].do(released), ends)
			})
		})
	}
}

// recheckMany wants all connections of each kind to have ended so after four times Stale; "": not at all.
func recheckMany(t *testing.T, do fault, want map[string]string) {
	mixed := &revocable{alive: func(_ context.Context, p middleware.Principal) error {
		if strings.HasPrefix(p.Subject, "bad") {
			return do()
		}
		return nil
	}}
	other := &revocable{alive: func(context.Context, middleware.Principal) error { return nil }}
	log := &logs{}
	g := registry(t, live.Config{
		Limits: live.Limits{Connections: 1500}, Log: log.logger(),
		Timeouts: live.Timeouts{Recheck: time.Minute, Stale: 5 * time.Minute},
	})
	mux := http.NewServeMux()
	for path, users := range map[string]*revocable{"/mixed": mixed, "/other": other} {
		mux.Handle(path, handler(t, ws.Config{
			Auth: auth(t, users), Live: g, Log: log.logger(), DangerouslyAllowPlaintext: true,
			Timeouts: ws.Timeouts{Heartbeat: 24 * time.Hour}, // these peers answer no ping
		}))
	}
	l := servePlain(t, mux)
	var mu sync.Mutex
	ended := map[string]map[string]int{}
	for kind, path := range map[string]string{"bad": "/mixed", "good": "/mixed", "other": "/other"} {
		ended[kind] = map[string]int{}
		for n := range 500 {
			conn, res := open(t, l, "GET "+path+" HTTP/1.1", fmt.Sprintf("X-User: %s-%d", kind, n))
			if res.StatusCode != 101 {
				t.Fatal(res.Status)
			}
			go func() {
				defer conn.Close()
				if opcode, payload, _ := (&raw{t, conn, bufio.NewReader(conn)}).next(); opcode == 8 {
					mu.Lock()
					defer mu.Unlock()
					ended[kind][payload[2:]]++
				}
			}()
		}
	}
	mixed.earnest.Store(true)
	other.earnest.Store(true)
	time.Sleep(20 * time.Minute) // in fake time
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	for kind, reason := range want {
		if reason == "" && len(ended[kind]) > 0 || reason != "" && ended[kind][reason] != 500 {
			t.Errorf("%s: %v, want all 500 %q", kind, ended[kind], reason)
		}
	}
	t.Log(ended)
	if s := log.String(); strings.Contains(s, "hunter2") {
		t.Errorf("the value of a panic is in the log:\n%.2000s", s)
	}
}
