package ws_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

var badPlaces = func() int {
	if underRace() {
		return 200
	}
	return 1000
}()

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
	if testing.Short() {
		t.Skip("every fault of every interface takes 8 s")
	}
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
