package live

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// following is a store with a Follow of its own.
type following struct {
	*store
	fn func(tell func(middleware.Revocation)) (stop func())
}

func (s *following) Follow(tell func(middleware.Revocation)) (stop func()) { return s.fn(tell) }

// respond serves a response of the kind under an Auth, and returns how it ends.
func (w *world) respond(a *middleware.Auth, e *entering) <-chan string {
	h := a.Handler(w.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { e.serve(rw, r, func(int) {}) })))
	r := request("", http.MethodGet)
	for name, values := range e.header {
		r.Header[name] = values
	}
	p := with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = "session", "" })
	ended := make(chan string, 1)
	go func() { ended <- w.endingOf(h, r.WithContext(context.WithValue(r.Context(), credential{}, p))) }()
	return ended
}

func never() func() { return func() {} }

// A Follow that tells nothing, or not this, leaves the recheck: the response ends when the
// Auth is asked next.
func TestDeafFollowerLeavesTheRecheck(t *testing.T) {
	const recheck = 5 * time.Minute
	for name, follow := range map[string]func(tell func(middleware.Revocation)) func(){
		"it tells nothing":          func(func(middleware.Revocation)) func() { return never() },
		"it has no stop":            func(func(middleware.Revocation)) func() { return nil },
		"it tells nonsense at once": func(tell func(middleware.Revocation)) func() { tellNonsense(tell); return never() },
		"it tells nonsense later, from many goroutines": func(tell func(middleware.Revocation)) func() {
			for i := range 20 {
				time.AfterFunc(time.Duration(i/4)*time.Second, func() { tellNonsense(tell) })
			}
			return never()
		},
	} {
		for _, e := range enterings {
			t.Run(name+", "+e.name, func(t *testing.T) {
				inBubble(t, Config{Timeouts: Timeouts{Recheck: recheck}}, func(t *testing.T, w *world) {
					ended := w.respond(authOver(t, &following{w.store, follow}), &e)
					time.Sleep(time.Minute)
					w.store.learn(middleware.Revocation{SessionHandle: "session"})
					synctest.Wait()
					if len(ended) > 0 {
						t.Fatalf("ended %s before it was asked about", <-ended)
					}
					time.Sleep(recheck - time.Minute + tick)
					synctest.Wait()
					select {
					case got := <-ended:
						if got != e.late {
							t.Errorf("ended %s, want %s", got, e.late)
						}
					default:
						t.Error("it has not ended at the recheck")
						<-ended
					}
				})
			})
		}
	}
}

// tellNonsense tells revocations that are not of ann's session.
func tellNonsense(tell func(middleware.Revocation)) {
	for i := range 3 * ringSize {
		tell(middleware.Revocation{SessionHandle: fmt.Sprint("of nobody ", i)})
	}
	for _, v := range []middleware.Revocation{
		{},
		{Issuer: ann.Issuer},
		{Subject: "bob"},
		{Issuer: "https://other.example", Subject: ann.Subject},
		{TokenHandle: "session"},
		{SessionHandle: "SESSION"},
		{Before: time.Now(), Expires: time.Now()},
	} {
		tell(v)
	}
}

// A deaf Follow and an Alive without an answer: the response ends at Timeouts.Stale, and the
// client may come back later.
func TestDeafFollowerWithoutAnswersEndsAtStale(t *testing.T) {
	const stale = 15 * time.Minute
	later := map[string]string{
		refusedEntry:  "503 unavailable",
		"200 revoked": "200 later", "101 3000 revoked": "101 1013 later", "aborted": "aborted",
	}
	for _, e := range enterings {
		want := later[e.late]
		t.Run(e.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				ended := w.respond(authOver(t, &following{w.store, func(func(middleware.Revocation)) func() { return never() }}), &e)
				synctest.Wait()
				w.store.answer(func(ctx context.Context, _ middleware.Principal) error { <-ctx.Done(); return ctx.Err() })
				began := time.Now()
				if got := <-ended; got != want {
					t.Errorf("ended %s, want %s", got, want)
				}
				if took := time.Since(began); took < stale || took > stale+time.Minute {
					t.Errorf("ended after %v, want %v", took, stale)
				}
			})
		})
	}
}

// A Follow that blocks holds up a response for 2 s; then it is refused, and the handler is
// not called. Responses under another Auth are not held up. When Follow returns, the next
// response is bound.
func TestFollowThatBlocksHoldsUpNoHandshake(t *testing.T) {
	for _, e := range enterings {
		t.Run(e.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				until := make(chan struct{})
				a := authOver(t, &following{w.store, func(tell func(middleware.Revocation)) func() {
					<-until
					return w.store.Follow(tell)
				}})
				began := time.Now()
				got := <-w.respond(a, &e)
				if got != "503 unavailable" {
					t.Errorf("answered %s", got)
				}
				if took := time.Since(began); took != 2*time.Second {
					t.Errorf("answered after %v", took)
				}
				began = time.Now()
				other := w.respond(w.auth, &e)
				synctest.Wait()
				w.signOut("session")
				if got := <-other; got != e.late || time.Since(began) > time.Second {
					t.Errorf("under another Auth it ended %s after %v", got, time.Since(began))
				}
				close(until)
				synctest.Wait()
				clear(w.store.dead)
				next := w.respond(a, &e)
				synctest.Wait()
				w.signOut("session")
				if got := <-next; got != e.late {
					t.Errorf("after Follow has returned it ended %s", got)
				}
			})
		})
	}
}

// A Follow that tells of revocations when the response or the registry is gone harms
// nothing.
func TestFollowThatTellsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		var late func(middleware.Revocation)
		a := authOver(t, &following{w.store, func(tell func(middleware.Revocation)) func() { late = tell; return never() }})
		tell := func() {
			late(middleware.Revocation{SessionHandle: "session", Subject: ann.Subject})
			synctest.Wait()
		}
		rec := httptest.NewRecorder()
		h := a.Handler(w.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Context().Done()
			_, _ = rw.Write([]byte("answer"))
		})))
		r := request("", http.MethodGet)
		h.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), credential{}, ann)))
		tell()
		if rec.Code != http.StatusOK || rec.Body.String() != "answer" {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if err := w.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		tell()
		w.wantEmpty()
	})
}
