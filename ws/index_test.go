package ws

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// someone is a principal out of few, so that their keys meet.
func someone(random *rand.Rand) middleware.Principal {
	pick := func(prefix string, n int) string {
		if i := random.IntN(n + 1); i > 0 {
			return fmt.Sprint(prefix, i)
		}
		return ""
	}
	return middleware.Principal{
		Issuer: pick("issuer", 2), Subject: pick("subject", 4), SessionHandle: pick("session", 6), TokenHandle: pick("token", 8),
		IssuedAt: epoch.Add(time.Duration(random.IntN(10)) * time.Minute),
	}
}

func somebodysRevocation(random *rand.Rand) middleware.Revocation {
	p := someone(random)
	v := middleware.Revocation{Before: epoch.Add(time.Duration(random.IntN(12)) * time.Minute)}
	switch random.IntN(4) {
	case 0:
		v.SessionHandle = p.SessionHandle
	case 1:
		v.TokenHandle = p.TokenHandle
	case 2:
		v.Issuer, v.Subject = p.Issuer, p.Subject
	default:
		v.Issuer, v.Subject, v.SessionHandle, v.TokenHandle = p.Issuer, p.Subject, p.SessionHandle, p.TokenHandle
	}
	return v
}

// model is the index as one would write it first.
type model map[*Conn]struct{}

func (m model) of(p middleware.Principal) (n int) {
	for c := range m {
		if c.principal.Issuer == p.Issuer && c.principal.Subject == p.Subject {
			n++
		}
	}
	return n
}

func (m model) covered(v middleware.Revocation) (found []*Conn) {
	for c := range m {
		if v.Covers(c.principal) {
			found = append(found, c)
		}
	}
	return found
}

// same compares two lists as sets: a connection that two keys reach may stand twice.
func same(a, b []*Conn) bool {
	in := map[*Conn]bool{}
	for _, c := range a {
		in[c] = true
	}
	for _, c := range b {
		if !in[c] {
			return false
		}
	}
	return len(in) == len(b)
}

func (x *index) empty() bool {
	for i := range x.shards {
		if len(x.shards[i].lists) > 0 {
			return false
		}
	}
	return true
}

func TestIndexIsThatOfTheModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	x, m := newIndex(), model{}
	const perPrincipal = 5
	var live []*Conn
	for step := range 30_000 {
		switch k := random.IntN(10); {
		case k < 4 || len(live) == 0:
			c := &Conn{principal: someone(random)}
			want := c.principal.Subject == "" || m.of(c.principal) < perPrincipal
			if got := x.add(c, perPrincipal); got != want {
				t.Fatalf("step %d: add %v: %v, want %v", step, c.principal, got, want)
			}
			if want {
				m[c] = struct{}{}
				live = append(live, c)
			}
		case k < 8:
			i := random.IntN(len(live))
			c := live[i]
			live = slices.Delete(live, i, i+1)
			x.remove(c)
			delete(m, c)
			if c.links != [indexKinds]links{} {
				t.Fatalf("step %d: a removed connection keeps its neighbours", step)
			}
		default:
			v := somebodysRevocation(random)
			if got, want := x.covered(v), m.covered(v); !same(got, want) {
				t.Fatalf("step %d: %+v covers %d connections, want %d", step, v, len(got), len(want))
			}
		}
	}
	for _, c := range live {
		x.remove(c)
	}
	if !x.empty() {
		t.Error("keys are left when nobody is")
	}
}

// Run with -race: connections come, go and are looked for at the same time.
func TestIndexIsSafeForConcurrentUse(t *testing.T) {
	const perPrincipal = 3
	x := newIndex()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(worker)))
			var own []*Conn
			for range 3000 {
				if c := (&Conn{principal: someone(random)}); x.add(c, perPrincipal) {
					own = append(own, c)
					v := middleware.Revocation{Subject: c.principal.Subject, SessionHandle: c.principal.SessionHandle, TokenHandle: c.principal.TokenHandle, Before: epoch.Add(time.Hour)}
					if c.principal.Subject+c.principal.SessionHandle+c.principal.TokenHandle != "" && !slices.Contains(x.covered(v), c) {
						t.Errorf("%v is entered and not found", c.principal)
					}
				}
				if len(own) > 10 || len(own) > 0 && random.IntN(2) == 0 {
					i := random.IntN(len(own))
					x.remove(own[i])
					own = slices.Delete(own, i, i+1)
				}
			}
			for _, c := range own {
				x.remove(c)
			}
		})
	}
	wg.Wait()
	if !x.empty() {
		t.Error("keys are left when nobody is")
	}
}

func TestShareIsNeverExceeded(t *testing.T) {
	const perPrincipal, workers = 7, 16
	x := newIndex()
	var wg sync.WaitGroup
	var mu sync.Mutex
	entered := 0
	for range workers {
		wg.Go(func() {
			for range 100 {
				if x.add(&Conn{principal: middleware.Principal{Issuer: "i", Subject: "ann"}}, perPrincipal) {
					mu.Lock()
					entered++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if entered != perPrincipal {
		t.Errorf("%d entered, want %d", entered, perPrincipal)
	}
}

// ASVS 6.8.1: a subject means nothing without its issuer, unless a revocation says
// that every issuer's is meant.
func TestRevocationsReach(t *testing.T) {
	x := newIndex()
	conns := map[string]*Conn{}
	for name, p := range map[string]middleware.Principal{
		"ann of a":       {Issuer: "a", Subject: "ann", SessionHandle: "s1", TokenHandle: "t1", IssuedAt: epoch},
		"ann of b":       {Issuer: "b", Subject: "ann", SessionHandle: "s2", TokenHandle: "t2", IssuedAt: epoch},
		"ann of nobody":  {Subject: "ann", IssuedAt: epoch},
		"ann, later":     {Issuer: "a", Subject: "ann", IssuedAt: epoch.Add(time.Hour)},
		"bob of a":       {Issuer: "a", Subject: "bob", SessionHandle: "s3", TokenHandle: "t1", IssuedAt: epoch},
		"session alone":  {SessionHandle: "s4"},
		"the anonymous":  {Method: "anonymous"},
		"named like one": {Issuer: "a", Subject: "s1", IssuedAt: epoch},
	} {
		conns[name] = &Conn{id: name, principal: p}
		x.add(conns[name], 10)
	}
	soon := epoch.Add(time.Minute)
	tests := []struct {
		sentence string
		v        middleware.Revocation
		want     []string
	}{
		{"one issuer's subject", middleware.Revocation{Issuer: "a", Subject: "ann", Before: soon}, []string{"ann of a"}},
		{"a subject under every issuer", middleware.Revocation{Subject: "ann", Before: soon}, []string{"ann of a", "ann of b", "ann of nobody"}},
		{"a subject, whenever it signed in", middleware.Revocation{Issuer: "a", Subject: "ann", Before: epoch.Add(2 * time.Hour)}, []string{"ann of a", "ann, later"}},
		{"a subject before it signed in", middleware.Revocation{Subject: "ann", Before: epoch}, nil},
		{"another issuer's subject", middleware.Revocation{Issuer: "c", Subject: "ann", Before: soon}, nil},
		{"a session", middleware.Revocation{SessionHandle: "s1"}, []string{"ann of a"}},
		{"a session without a subject", middleware.Revocation{SessionHandle: "s4"}, []string{"session alone"}},
		{"a token that two share", middleware.Revocation{TokenHandle: "t1"}, []string{"ann of a", "bob of a"}},
		{"all three at once", middleware.Revocation{Issuer: "b", Subject: "ann", SessionHandle: "s3", TokenHandle: "t1", Before: soon}, []string{"ann of a", "ann of b", "bob of a"}},
		{"an issuer alone names nobody", middleware.Revocation{Issuer: "a", Before: soon}, nil},
		{"nothing names nobody", middleware.Revocation{Before: soon}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			var got []string
			for _, c := range x.covered(tt.v) {
				got = append(got, c.id)
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, tt.want) {
				t.Errorf("reaches %q, want %q", got, tt.want)
			}
		})
	}
}

func BenchmarkIndexRevoke(b *testing.B) {
	x := newIndex()
	for i := range 100_000 {
		n := fmt.Sprint(i)
		x.add(&Conn{principal: middleware.Principal{Issuer: "i", Subject: n, SessionHandle: n, TokenHandle: n}}, 64)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(x.covered(middleware.Revocation{SessionHandle: "4711"})) != 1 {
			b.Fatal("not found")
		}
	}
}
