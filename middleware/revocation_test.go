package middleware_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

func mustRevoke(t testing.TB, m middleware.Revocations, v middleware.Revocation) {
	t.Helper()
	if err := m.Revoke(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func isRevoked(t testing.TB, m middleware.Revocations, p middleware.Principal) bool {
	t.Helper()
	revoked, err := m.Revoked(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

// The principals that a revocation reaches (ASVS 7.4.1, 7.4.5, 6.8.1).
func TestRevocationCovers(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	early, late := noon.Add(-time.Nanosecond), noon
	for _, tt := range []struct {
		name    string
		v       middleware.Revocation
		p       middleware.Principal
		covered bool
	}{
		{"the session", middleware.Revocation{SessionHandle: "s"}, middleware.Principal{SessionHandle: "s"}, true},
		{"another session", middleware.Revocation{SessionHandle: "s"}, middleware.Principal{SessionHandle: "t"}, false},
		{"the token", middleware.Revocation{TokenHandle: "s"}, middleware.Principal{TokenHandle: "s"}, true},
		{"a token named like the session", middleware.Revocation{SessionHandle: "s"}, middleware.Principal{TokenHandle: "s"}, false},
		{"a subject named like the session", middleware.Revocation{SessionHandle: "s"}, middleware.Principal{Subject: "s"}, false},
		{
			"a subject issued before the cut-off",
			middleware.Revocation{Issuer: "i", Subject: "s", Before: noon},
			middleware.Principal{Issuer: "i", Subject: "s", IssuedAt: early},
			true,
		},
		{
			"a subject issued at the cut-off",
			middleware.Revocation{Issuer: "i", Subject: "s", Before: noon},
			middleware.Principal{Issuer: "i", Subject: "s", IssuedAt: late},
			false,
		},
		{
			"a subject issued nobody knows when",
			middleware.Revocation{Issuer: "i", Subject: "s", Before: noon},
			middleware.Principal{Issuer: "i", Subject: "s"},
			true,
		},
		{
			"the subject of another issuer",
			middleware.Revocation{Issuer: "i", Subject: "s", Before: noon},
			middleware.Principal{Issuer: "j", Subject: "s", IssuedAt: early},
			false,
		},
		{
			"the subject under every issuer",
			middleware.Revocation{Subject: "s", Before: noon},
			middleware.Principal{Issuer: "j", Subject: "s", IssuedAt: early},
			true,
		},
		{
			"a named issuer, and a subject without",
			middleware.Revocation{Issuer: "i", Subject: "s", Before: noon},
			middleware.Principal{Subject: "s", IssuedAt: early},
			false,
		},
		{
			"one of two that are named",
			middleware.Revocation{SessionHandle: "s", TokenHandle: "t"},
			middleware.Principal{SessionHandle: "other", TokenHandle: "t"},
			true,
		},
		{"Anonymous", middleware.Revocation{Issuer: "i", Before: noon}, middleware.Principal{Issuer: "i"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.v.Covers(tt.p); got != tt.covered {
				t.Errorf("Covers %v, want %v", got, tt.covered)
			}
			m := middleware.NewRevocations()
			if err := m.Revoke(t.Context(), tt.v); err != nil {
				return // names nothing: refused
			}
			if got := isRevoked(t, m, tt.p); got != tt.covered {
				t.Errorf("Revoked %v, want %v", got, tt.covered)
			}
		})
	}
}

func TestRevokeOfNothingIsAnError(t *testing.T) {
	t.Parallel()
	m := middleware.NewRevocations()
	for _, v := range []middleware.Revocation{{}, {Issuer: "i"}, {Before: time.Now()}} {
		if err := m.Revoke(t.Context(), v); err == nil {
			t.Errorf("%+v accepted", v)
		}
	}
}

// A subject's cut-off defaults to the moment of the call.
func TestRevokeBeforeDefaultsToNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewRevocations()
		time.Sleep(time.Second)
		old := middleware.Principal{Subject: "s", IssuedAt: time.Now().Add(-time.Nanosecond)}
		var told middleware.Revocation
		stop := m.Follow(func(v middleware.Revocation) { told = v })
		defer stop()
		mustRevoke(t, m, middleware.Revocation{Subject: "s"})
		if !told.Before.Equal(time.Now()) || !told.Expires.Equal(time.Now().Add(30*24*time.Hour)) {
			t.Errorf("followers hear Before %v, Expires %v", told.Before, told.Expires)
		}
		if !isRevoked(t, m, old) || isRevoked(t, m, middleware.Principal{Subject: "s", IssuedAt: time.Now()}) {
			t.Error("the cut-off is not now")
		}
		mustRevoke(t, m, middleware.Revocation{Subject: "s", Before: time.Now().Add(-time.Hour)})
		if !isRevoked(t, m, old) {
			t.Error("an earlier cut-off took a later one back")
		}
	})
}

// Covers and Revoked agree for every principal, after every sequence of revocations.
func TestRevokedAgreesWithCovers(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func() string { return []string{"", "a", "b"}[rnd.IntN(3)] }
	moment := func() time.Time { return time.Unix(1_800_000_000+rnd.Int64N(3), 0) }
	for round := range 300 {
		m := middleware.NewRevocations()
		var all []middleware.Revocation
		for range 1 + rnd.IntN(4) {
			v := middleware.Revocation{
				Issuer: word(), Subject: word(),
				SessionHandle: word(), TokenHandle: word(), Before: moment(), Expires: time.Now().Add(time.Hour),
			}
			if err := m.Revoke(t.Context(), v); err == nil {
				all = append(all, v)
			}
		}
		for range 30 {
			p := middleware.Principal{Issuer: word(), Subject: word(), SessionHandle: word(), TokenHandle: word(), IssuedAt: moment()}
			want := false
			for _, v := range all {
				want = want || v.Covers(p)
			}
			if got := isRevoked(t, m, p); got != want {
				t.Fatalf("round %d: Revoked %v, Covers %v\nprincipal %+v\nrevocations %+v", round, got, want, p, all)
			}
		}
	}
}

// After stop no later revocation is told; the others go on.
func TestFollowUntilStopped(t *testing.T) {
	t.Parallel()
	m := middleware.NewRevocations()
	var one, two int
	stopOne := m.Follow(func(middleware.Revocation) { one++ })
	stopTwo := m.Follow(func(middleware.Revocation) { two++ })
	mustRevoke(t, m, middleware.Revocation{SessionHandle: "a"})
	stopOne()
	stopOne()
	mustRevoke(t, m, middleware.Revocation{SessionHandle: "b"})
	stopTwo()
	mustRevoke(t, m, middleware.Revocation{SessionHandle: "c"})
	if one != 1 || two != 2 {
		t.Errorf("told %d and %d times, want 1 and 2", one, two)
	}
}

// A follower may look, revoke and stop: no lock is held while it runs.
func TestFollowerMayCallBack(t *testing.T) {
	t.Parallel()
	m := middleware.NewRevocations()
	var stop func()
	calls := 0
	stop = m.Follow(func(v middleware.Revocation) {
		calls++
		if !isRevoked(t, m, middleware.Principal{SessionHandle: v.SessionHandle}) {
			t.Error("told before it is in force")
		}
		stop()
		mustRevoke(t, m, middleware.Revocation{SessionHandle: "b"})
	})
	mustRevoke(t, m, middleware.Revocation{SessionHandle: "a"})
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

// Register, then check: a revocation that a check does not see is told (ASVS 15.4.1).
func TestRevocationsConcurrently(t *testing.T) {
	t.Parallel()
	m := middleware.NewRevocations()
	const connections = 400
	var wg sync.WaitGroup
	var lost atomic.Int64
	for i := range connections {
		session := fmt.Sprint(i)
		wg.Go(func() { mustRevoke(t, m, middleware.Revocation{SessionHandle: session, Subject: "s"}) })
		wg.Go(func() {
			told := make(chan struct{}, connections+1)
			stop := m.Follow(func(v middleware.Revocation) {
				if v.SessionHandle == session {
					told <- struct{}{}
				}
			})
			defer stop()
			if isRevoked(t, m, middleware.Principal{SessionHandle: session}) {
				return
			}
			select {
			case <-told:
			case <-time.After(10 * time.Second):
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	if lost.Load() != 0 {
		t.Errorf("%d of %d revocations were neither seen nor told", lost.Load(), connections)
	}
}

// Expired revocations give their memory back, without a goroutine of their own.
// It measures the heap, and so runs alone.
func TestRevocationsForgetTheExpired(t *testing.T) {
	const live = 64
	grown := func(rounds int) uint64 {
		var before, after runtime.MemStats
		var m middleware.Revocations
		synctest.Test(t, func(t *testing.T) {
			runtime.GC()
			runtime.ReadMemStats(&before)
			m = middleware.NewRevocations()
			for i := range live {
				mustRevoke(t, m, middleware.Revocation{TokenHandle: fmt.Sprint("live", i), Expires: time.Now().Add(24 * time.Hour)})
			}
			for round := range rounds {
				for i := range 2000 {
					mustRevoke(t, m, middleware.Revocation{TokenHandle: fmt.Sprint(round, "/", i), Expires: time.Now().Add(time.Minute)})
				}
				time.Sleep(time.Minute)
			}
			for i := range live {
				if !isRevoked(t, m, middleware.Principal{TokenHandle: fmt.Sprint("live", i)}) {
					t.Fatal("forgot one that has not expired")
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
		})
		runtime.KeepAlive(m)
		return max(after.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
	}
	few, many := grown(4), grown(40)
	if many > 3*few+1<<20 {
		t.Errorf("%d bytes after 4 rounds, %d after 40", few, many)
	}
}

// A subject takes one entry, however often it is revoked, and so does a session and a token.
func TestRevocationsOfOneSubjectAreOneEntry(t *testing.T) {
	t.Parallel()
	m := middleware.NewRevocations()
	began := time.Now()
	for i := range 1_000_000 {
		mustRevoke(t, m, middleware.Revocation{Issuer: "i", Subject: "ann", Before: began.Add(time.Duration(i))})
	}
	for range 1000 {
		mustRevoke(t, m, middleware.Revocation{SessionHandle: "s", TokenHandle: "t"})
	}
	if n := reflect.ValueOf(m).Elem().FieldByName("entries").Len(); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	if p := (middleware.Principal{Issuer: "i", Subject: "ann", IssuedAt: began.Add(1_000_000 - 2)}); !isRevoked(t, m, p) {
		t.Error("the last one does not hold")
	}
}
