package live

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

func ready(g *Registry) int {
	w := httptest.NewRecorder()
	g.Ready().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ready", nil))
	return w.Code
}

// background calls Shutdown and returns its result when it is read.
func (w *world) background(ctx context.Context, servers ...*http.Server) <-chan error {
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(ctx, servers...) }()
	return done
}

func TestReady(t *testing.T) {
	if got := ready(nil); got != 503 {
		t.Errorf("nil: %d", got)
	}
	w := newWorld(t, Config{})
	r := httptest.NewRecorder()
	w.Ready().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/ready", nil))
	if r.Code != 200 || strings.TrimSpace(r.Body.String()) != `{"ready":true}` || r.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", r.Code, r.Body, r.Header())
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := ready(w.Registry); got != 503 {
		t.Errorf("after Shutdown: %d", got)
	}
}

func TestShutdownSpreadsTheEnds(t *testing.T) {
	const members = 400
	tests := []struct {
		sentence string
		spread   time.Duration
		ctx      time.Duration // 0: without a deadline
		want     time.Duration
	}{
		{"half of the time that the context leaves", time.Minute, 20 * time.Second, 10 * time.Second},
		{"Timeouts.Spread, if that is less", 4 * time.Second, 20 * time.Second, 4 * time.Second},
		{"Timeouts.Spread without a deadline", 8 * time.Second, 0, 8 * time.Second},
		{"the default", 0, 0, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			inBubble(t, Config{Limits: many, Timeouts: Timeouts{Spread: tt.spread}}, func(t *testing.T, w *world) {
				all := w.joinMany(members, w.auth)
				ctx, cancel := context.WithCancel(t.Context())
				if tt.ctx != 0 {
					ctx, cancel = context.WithTimeout(t.Context(), tt.ctx)
				}
				defer cancel()
				began := time.Now()
				done := w.background(ctx)
				synctest.Wait()
				if got := ready(w.Registry); got != 503 || endedAs(all, "") != members {
					t.Errorf("ready %d, %d members open: readiness ends first", got, endedAs(all, ""))
				}
				wantRefusal(t, w.Check(), 503, "draining")
				wantRefusal(t, w.try(&fake{}, w.voucher(ann)), 503, "draining")
				if err := <-done; err != nil {
					t.Error(err)
				}
				var quarters [4]int
				for _, f := range all {
					wantEnded(t, f, "restart")
					after := f.when().Sub(began)
					if after > tt.want+2*tick {
						t.Fatalf("ended after %v, want %v", after, tt.want)
					}
					quarters[min(3, int(4*after/tt.want))]++
				}
				for i, n := range quarters {
					if n < members/8 {
						t.Errorf("%d of %d ended in quarter %d", n, members, i+1)
					}
				}
			})
		})
	}
}

func TestCancelledContextHastens(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Spread: time.Hour}}, func(t *testing.T, w *world) {
		f := w.joinAs(&fake{stays: true}, w.auth, ann)
		f.next = func(_ int64, hurry bool) int64 {
			if hurry {
				f.Leave(Restart)
			}
			return 0
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := w.background(ctx)
		time.Sleep(time.Second)
		wantEnded(t, f, "")
		cancel()
		began := time.Now()
		if err := <-done; err != nil {
			t.Errorf("every member has ended: %v", err)
		}
		if took := time.Since(began); took > 2*tick {
			t.Errorf("took %v", took)
		}
		wantEnded(t, f, "restart")
	})
}

func TestSecondCallHastens(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Spread: time.Hour}}, func(t *testing.T, w *world) {
		f := w.join(ann)
		first := w.background(t.Context())
		time.Sleep(time.Second)
		wantEnded(t, f, "")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		second := w.background(ctx)
		began := time.Now()
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second+2*tick {
			t.Errorf("took %v, want at most half of the second context", took)
		}
		wantEnded(t, f, "restart")
	})
}

func TestLongerSecondCallDoesNotDelay(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Spread: time.Hour}}, func(t *testing.T, w *world) {
		f := w.join(ann)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		first := w.background(ctx)
		synctest.Wait()
		second := w.background(t.Context())
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second+2*tick {
			t.Errorf("took %v", took)
		}
		wantEnded(t, f, "restart")
	})
}

func TestErrorOfShutdownSaysWhatIsLeft(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		stuck, other := w.joinAs(&fake{stays: true}, w.auth, ann), w.joinAs(&fake{stays: true}, w.auth, ann)
		w.join(ann)
		var opening, explained fake
		if err := w.Reserve(&opening.Binding, requestFrom("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
		if !w.Explain(contextkey.Key(), &explained.Binding, &explained) {
			t.Fatal("refused")
		}
		explained.Binding.Open()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		began := time.Now()
		err := w.Shutdown(ctx)
		if took := time.Since(began); took < 7*time.Second || took > 7*time.Second+2*tick {
			t.Errorf("took %v, want 3 s after the context", took)
		}
		want := "live: Shutdown: 4 left: 2 members have not returned though they were told to end, 1 are still being opened or were not " +
			"reached, 1 readable refusals are under way: context deadline exceeded"
		if err == nil || err.Error() != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v\nwant %s", err, want)
		}
		for _, f := range []*fake{stuck, other, &explained} {
			if _, hurried := f.calls(); !hurried {
				t.Error("a member that is left was not told to hurry")
			}
		}
		if got := explained.ended(); got != "" {
			t.Errorf("a readable refusal was ended: %q", got)
		}
		for _, f := range []*fake{stuck, other, &opening, &explained} {
			f.Leave(nil)
		}
	})
}

func TestMemberThatIsBeingOpenedEndsAfterOpen(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := &fake{}
		if err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
		done := w.background(t.Context())
		time.Sleep(10 * time.Second)
		if err := f.Bind(t.Context(), w.voucher(ann), f); err != nil {
			t.Fatal(err)
		}
		f.Binding.Open()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantEnded(t, f, "restart")
	})
}

func TestExplanationsBeforeShutdownAreWaitedFor(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		var before, after fake
		if !w.Explain(contextkey.Key(), &before.Binding, &before) {
			t.Fatal("refused")
		}
		done := w.background(t.Context())
		synctest.Wait()
		if !w.Explain(contextkey.Key(), &after.Binding, &after) {
			t.Fatal("refused while draining: clients would not learn why")
		}
		time.Sleep(3 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		before.Leave(nil)
		if err := <-done; err != nil {
			t.Error(err)
		}
		after.Leave(nil)
		if n := w.readableRefusals.Load(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestRevocationOverrulesShutdown(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.joinAs(&fake{stays: true}, w.auth, ann)
		done := w.background(t.Context())
		time.Sleep(6 * time.Second)
		wantEnded(t, f, "restart")
		w.store.revoke(names["subject"])
		wantEnded(t, f, "restart revoked")
		f.Leave(nil)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownStopsFollowing(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		never := make(chan struct{})
		late := newStore()
		late.follow = func() { <-never }
		wantRefusal(t, w.try(&fake{}, w.voucherOf(authOver(t, late), ann)), 503, "unavailable")
		w.join(ann).Leave(nil)
		var f fake
		if err := w.Reserve(&f.Binding, requestFrom("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Shutdown(ctx); err == nil {
			t.Error("no error though one is being opened")
		}
		if n := len(w.store.followers); n != 0 {
			t.Errorf("%d followers are left", n)
		}
		wantRefusal(t, f.Bind(t.Context(), w.voucher(ann), &f), 503, "unavailable", "Shutdown has ended")
		f.Leave(nil)
		close(never)
		synctest.Wait()
		if n := len(late.followers); n != 0 {
			t.Errorf("%d followers of a Follow that returned late", n)
		}
	})
}

func TestStopThatPanicsOrBlocks(t *testing.T) {
	for name, stop := range map[string]func(never chan struct{}){
		"panics": func(chan struct{}) { panic("no") },
		"blocks": func(never chan struct{}) { <-never },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				never := make(chan struct{})
				w.joinAs(&fake{}, authOver(t, &badStop{newStore(), func() { stop(never) }}), ann).Leave(nil)
				began := time.Now()
				if err := w.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("took %v", took)
				}
				close(never)
			})
		})
	}
}

// badStop is a store whose Follow returns a stop of its own.
type badStop struct {
	*store
	stop func()
}

func (s *badStop) Follow(func(middleware.Revocation)) func() { return s.stop }

// The servers still answer while members end, and are shut down when those have ended.
func TestServersAreShutDownAfterTheMembers(t *testing.T) {
	w := newWorld(t, Config{Timeouts: Timeouts{Spread: 500 * time.Millisecond}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ready", w.Ready())
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	status := func() int {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get("http://" + listener.Addr().String() + "/ready")
		if err != nil {
			return 0
		}
		defer r.Body.Close()
		_, _ = io.Copy(io.Discard, r.Body)
		return r.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatalf("before: %d", got)
	}
	f := w.joinAs(&fake{stays: true}, w.auth, ann)
	f.onEnd = func(*Cause) {
		go func() {
			if got := status(); got != 503 {
				t.Errorf("while a member ends: %d, want 503", got)
			}
			f.Leave(Restart)
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Shutdown(ctx, server); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if got := status(); got != 0 {
		t.Errorf("after: %d", got)
	}
	if got := f.ended(); got != "restart" {
		t.Errorf("ended %q", got)
	}
}

func TestRequestsThatDoNotEndAreCut(t *testing.T) {
	w := newWorld(t, Config{})
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release }))
	go func() { _, _ = http.Get(server.URL) }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := w.Shutdown(ctx, server.Config)
	if err == nil || !strings.Contains(err.Error(), "requests are not done, and were cut") || strings.Contains(err.Error(), "members") {
		t.Errorf("%v", err)
	}
}
