package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := New(Config{
		Limits:   Limits{Connections: -1, PerPrincipal: -2, PerAddress: -3, ReadableRefusals: -4},
		Timeouts: Timeouts{Recheck: -1, Stale: -2, MaxAge: 11 * 365 * 24 * time.Hour, Spread: -4},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"Limits.Connections: -1", "Limits.PerPrincipal: -2", "Limits.PerAddress: -3", "Limits.ReadableRefusals: -4",
		"Timeouts.Recheck: -1ns", "Timeouts.Stale: -2ns", "Timeouts.MaxAge", "ten years", "Timeouts.Spread: -4ns",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is missing in:\n%v", name, err)
		}
	}
}

func TestNewRefusesContradictions(t *testing.T) {
	tests := []struct {
		sentence string
		cfg      Config
		want     string // empty: no error
	}{
		{"the zero value is a good one", Config{}, ""},
		{
			"a share above the whole has no effect",
			Config{Limits: Limits{Connections: 10, PerPrincipal: 11}},
			"Limits.PerPrincipal: 11 is more than Limits.Connections, 10",
		},
		{
			"nor has one of an address",
			Config{Limits: Limits{Connections: 10, PerAddress: 11}},
			"Limits.PerAddress: 11 is more than Limits.Connections, 10",
		},
		{"a share may be the whole", Config{Limits: Limits{Connections: 10, PerPrincipal: 10, PerAddress: 10}}, ""},
		{"the default share is no contradiction", Config{Limits: Limits{Connections: 1}}, ""},
		{
			"an answer must not be stale before it is asked again",
			Config{Timeouts: Timeouts{Recheck: time.Minute, Stale: 2*time.Minute - 1}},
			"Timeouts.Stale: 1m59.999999999s is less than twice Timeouts.Recheck, 1m0s",
		},
		{"twice the recheck is enough", Config{Timeouts: Timeouts{Recheck: time.Minute, Stale: 2 * time.Minute}}, ""},
		{"the default grows with the recheck", Config{Timeouts: Timeouts{Recheck: time.Hour}}, ""},
		{"a recheck below Stale's default needs no Stale", Config{Timeouts: Timeouts{Recheck: time.Second}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			_, err := New(tt.cfg)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Limits{Connections: 10_000, PerPrincipal: 64, PerAddress: 1_000, ReadableRefusals: 64}); g.cfg.Limits != want {
		t.Errorf("limits %+v, want %+v", g.cfg.Limits, want)
	}
	if want := (Timeouts{
		Recheck: 5 * time.Minute, Stale: 15 * time.Minute,
		MaxAge: 24 * time.Hour, Grace: time.Second, Spread: 5 * time.Second,
	}); g.cfg.Timeouts != want {
		t.Errorf("timeouts %+v, want %+v", g.cfg.Timeouts, want)
	}
	if g, err = New(Config{Limits: Limits{Connections: 5}, Timeouts: Timeouts{Recheck: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if l := g.cfg.Limits; l.PerPrincipal != 5 || l.PerAddress != 1 || g.cfg.Timeouts.Stale != 3*time.Hour {
		t.Errorf("%+v, %+v", l, g.cfg.Timeouts)
	}
}

func TestZeroRegistryAdmitsNothing(t *testing.T) {
	for name, g := range map[string]*Registry{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			var b Binding
			if g.Check() == nil || g.Reserve(&b, requestFrom("192.0.2.1:1")) == nil || g.Explain(contextkey.Key(), &b, &fake{}) {
				t.Error("admitted")
			}
			if g.List("i", "ann") != nil || g.ListSession("s") != nil || g.End("i", "ann", "1", Revoked) {
				t.Error("something is open")
			}
			b.Leave(nil) // as a handler defers
			if err := g.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLimitInAll(t *testing.T) {
	inBubble(t, Config{Limits: Limits{Connections: 2, PerPrincipal: 2, PerAddress: 2}}, func(t *testing.T, w *world) {
		first, second := w.join(ann), w.join(ann)
		wantRefusal(t, w.Check(), 503, "overloaded", "Limits.Connections is reached: 2")
		wantRefusal(t, w.try(&fake{}, w.voucher(ann)), 503, "overloaded", "Limits.Connections is reached: 2")
		first.Leave(nil)
		if err := w.Check(); err != nil {
			t.Error(err)
		}
		third := w.join(ann)
		second.Leave(nil)
		third.Leave(nil)
	})
}

func TestLimitInAllHoldsForConcurrentRequests(t *testing.T) {
	const limit, workers = 50, 8
	w := newWorld(t, Config{Limits: Limits{Connections: limit, PerAddress: limit}})
	var all sync.WaitGroup
	var admitted atomic.Int64
	for range workers {
		all.Go(func() {
			for range 300 {
				own := make([]Binding, limit)
				for i := range own {
					if w.Reserve(&own[i], requestless) == nil && admitted.Add(1) > limit {
						t.Error("more are admitted than there is room for")
					}
				}
				for i := range own {
					if own[i].stage.Load() == reserved {
						admitted.Add(-1)
					}
					own[i].Leave(nil)
					own[i].Leave(nil)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	all.Wait()
	w.wantEmpty()
}

var requestless = requestFrom("@")

func TestLimitPerPrincipal(t *testing.T) {
	inBubble(t, Config{Limits: Limits{PerPrincipal: 2}}, func(t *testing.T, w *world) {
		first, second := w.join(ann), w.join(ann)
		f := wantRefusal(t, w.try(&fake{}, w.voucher(ann)), 429, "too_many_connections", "Limits.PerPrincipal is reached: 2")
		if f.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		others := []*fake{
			w.join(with(ann, func(p *middleware.Principal) { p.Subject = "bob" })),
			w.join(with(ann, func(p *middleware.Principal) { p.Issuer = "https://other.example" })),
		}
		first.Leave(nil)
		for _, f := range append(others, w.join(ann), second) {
			f.Leave(nil)
		}
	})
}

func TestTheAnonymousShareNoLimitPerPrincipal(t *testing.T) {
	inBubble(t, Config{Limits: Limits{PerPrincipal: 1}}, func(t *testing.T, w *world) {
		auth := authOver(t, middleware.Anonymous())
		v, err := auth.Admit(requestFrom("192.0.2.1:1"))
		if err != nil {
			t.Fatal(err)
		}
		voucher, _ := middleware.VoucherFrom(v.Context())
		for range 5 {
			f := &fake{}
			if err := w.try(f, voucher); err != nil {
				t.Error(err)
			}
			defer f.Leave(nil)
		}
	})
}

func TestLimitPerAddress(t *testing.T) {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sentence      string
		proxies       *middleware.Proxies
		first, second string // remote address, then X-Forwarded-For
		shared        bool
	}{
		{sentence: "one IPv4 address is one client, whatever the port", first: "192.0.2.1:1", second: "192.0.2.1:2", shared: true},
		{sentence: "two IPv4 addresses are two", first: "192.0.2.1:1", second: "192.0.2.2:1"},
		{sentence: "IPv4 in IPv6 is IPv4", first: "192.0.2.1:1", second: "[::ffff:192.0.2.1]:1", shared: true},
		{sentence: "an IPv6 /64 is one client", first: "[2001:db8:1:2::1]:1", second: "[2001:db8:1:2:ffff::2]:1", shared: true},
		{sentence: "two IPv6 /64 are two", first: "[2001:db8:1:2::1]:1", second: "[2001:db8:1:3::1]:1"},
		{sentence: "an unknown address is not counted", first: "@", second: "@"},
		{
			sentence: "a header is not believed without Proxies",
			first:    "192.0.2.1:1 198.51.100.1", second: "192.0.2.1:1 198.51.100.2", shared: true,
		},
		{
			sentence: "behind a trusted proxy the header tells clients apart",
			proxies:  proxies, first: "192.0.2.1:1 198.51.100.1", second: "192.0.2.1:1 198.51.100.2",
		},
		{
			sentence: "and finds one client behind two proxies",
			proxies:  proxies, first: "192.0.2.1:1 198.51.100.1", second: "192.0.2.2:1 198.51.100.1", shared: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			g, err := New(Config{Limits: Limits{PerAddress: 1}, Proxies: tt.proxies})
			if err != nil {
				t.Fatal(err)
			}
			reserve := func(b *Binding, from string) error {
				remote, forwarded, _ := strings.Cut(from, " ")
				r := requestFrom(remote)
				if forwarded != "" {
					r.Header.Set("X-Forwarded-For", forwarded)
				}
				return g.Reserve(b, r)
			}
			var first, second, third Binding
			if err := reserve(&first, tt.first); err != nil {
				t.Fatal(err)
			}
			err = reserve(&second, tt.second)
			if !tt.shared {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, 429, "too_many_connections", "Limits.PerAddress is reached: 1", "Config.Proxies")
			first.Leave(nil)
			if err := reserve(&third, tt.second); err != nil {
				t.Errorf("after the first has left: %v", err)
			}
		})
	}
}

func TestProxiesAroundAreUsedWithoutConfig(t *testing.T) {
	proxies, err := middleware.NewProxies(middleware.ProxiesConfig{Trusted: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := requestFrom("192.0.2.1:1")
	r.Header.Set("X-Forwarded-For", "2001:db8:1:2::3")
	var got string
	proxies.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = g.clientKey(r).String()
	})).ServeHTTP(httptest.NewRecorder(), r)
	if got != "2001:db8:1:2::" {
		t.Errorf("key %s", got)
	}
}

func TestRetryAfterVariesBetween2And8(t *testing.T) {
	g, err := New(Config{Limits: Limits{Connections: 1}})
	if err != nil {
		t.Fatal(err)
	}
	var b Binding
	if err := g.Reserve(&b, requestFrom("@")); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 300 {
		seen[wantRefusal(t, g.Check(), 503, "overloaded").Header.Get("Retry-After")] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d values, want 7: %v", len(seen), seen)
	}
	for n := 2; n <= 8; n++ {
		delete(seen, fmt.Sprint(n))
	}
	if len(seen) != 0 {
		t.Errorf("Retry-After outside of 2 to 8: %v", seen)
	}
}

// Every way out gives the places back: wantEmpty at the end of each.
func TestPlacesAreGivenBack(t *testing.T) {
	expired := with(ann, func(p *middleware.Principal) { p.Expires = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) })
	down := errors.New("down")
	ways := map[string]func(t *testing.T, w *world){
		"left after Reserve": func(t *testing.T, w *world) {
			var b Binding
			if err := w.Reserve(&b, requestFrom("192.0.2.1:1")); err != nil {
				t.Fatal(err)
			}
			b.Leave(nil)
		},
		"left after Bind": func(t *testing.T, w *world) {
			f := &fake{}
			_ = w.Reserve(&f.Binding, requestFrom("192.0.2.1:1"))
			if err := f.Bind(t.Context(), w.voucher(ann), f); err != nil {
				t.Fatal(err)
			}
			f.Leave(nil)
			f.Binding.Open() // too late: it is in no wheel
		},
		"left twice":       func(_ *testing.T, w *world) { f := w.join(ann); f.Leave(Expired); f.Leave(Expired) },
		"ended":            func(_ *testing.T, w *world) { f := w.join(ann); f.end(Revoked) },
		"refused: no room": func(_ *testing.T, w *world) { f := w.join(ann); _ = w.try(&fake{}, w.voucher(ann)); f.Leave(nil) },
		"refused: expired": func(t *testing.T, w *world) {
			wantRefusal(t, w.try(&fake{}, w.voucher(expired)), 401, "credential_expired")
		},
		"refused: no Follow": func(t *testing.T, w *world) {
			w.store.follow = func() { panic(down) }
			wantRefusal(t, w.try(&fake{}, w.voucher(ann)), 503, "unavailable")
		},
		"refused: no answer": func(t *testing.T, w *world) {
			w.store.answer(func(context.Context, middleware.Principal) error { return down })
			wantRefusal(t, w.try(&fake{}, w.voucher(ann)), 503, "unavailable")
		},
		"Bind without Reserve": func(t *testing.T, w *world) {
			f := &fake{}
			if err := f.Bind(t.Context(), w.voucher(ann), f); err == nil {
				t.Error("no error")
			}
			f.Leave(nil)
		},
		"Bind without a voucher": func(t *testing.T, w *world) {
			if err := w.try(&fake{}, nil); err == nil {
				t.Error("no error")
			}
		},
		"Bind twice": func(t *testing.T, w *world) {
			f := w.join(ann)
			if err := f.Bind(t.Context(), w.voucher(with(ann, func(p *middleware.Principal) { p.Subject = "bob" })), f); err == nil {
				t.Error("no error")
			}
			f.Leave(nil)
		},
		"Bind after Leave": func(t *testing.T, w *world) {
			f := &fake{}
			_ = w.Reserve(&f.Binding, requestFrom("192.0.2.1:1"))
			f.Leave(nil)
			if err := f.Bind(t.Context(), w.voucher(ann), f); err == nil {
				t.Error("no error")
			}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{Limits: Limits{PerPrincipal: 1, PerAddress: 1}}, way)
		})
	}
}

func TestReadableRefusalsAreBoundedAndNoMembers(t *testing.T) {
	inBubble(t, Config{Limits: Limits{Connections: 1, ReadableRefusals: 2}}, func(t *testing.T, w *world) {
		var first, second, third, fourth fake
		if !w.Explain(contextkey.Key(), &first.Binding, &first) || !w.Explain(contextkey.Key(), &second.Binding, &second) {
			t.Fatal("refused")
		}
		if w.Explain(contextkey.Key(), &third.Binding, &third) {
			t.Error("a third is admitted")
		}
		third.Leave(nil)
		if w.Check() != nil || first.ID() == "" || first.ID() == second.ID() {
			t.Error("they count as members, or have no id of their own")
		}
		first.Leave(nil)
		first.Leave(nil)
		if !w.Explain(contextkey.Key(), &fourth.Binding, &fourth) {
			t.Error("the place is not given back")
		}
		second.Leave(nil)
		fourth.Leave(nil)
		if n := w.readableRefusals.Load(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}
