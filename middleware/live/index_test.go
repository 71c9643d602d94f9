package live

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/securews/securews/middleware"
)

func newIndex() *index {
	x := &index{}
	x.init()
	return x
}

func bindingOf(p middleware.Principal) *Binding {
	b := &Binding{}
	b.principal.Store(&p)
	return b
}

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
	}
}

func someRevocation(random *rand.Rand) middleware.Revocation {
	p := someone(random)
	switch random.IntN(4) {
	case 0:
		return middleware.Revocation{SessionHandle: p.SessionHandle}
	case 1:
		return middleware.Revocation{TokenHandle: p.TokenHandle}
	case 2:
		return middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject}
	}
	return middleware.Revocation{Issuer: p.Issuer, Subject: p.Subject, SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle}
}

// reached returns the bindings that a revocation names, as follow.revoked finds them.
func (x *index) reached(v middleware.Revocation) []*Binding {
	found := append(x.list(key{bySession, "", v.SessionHandle}), x.list(key{byToken, "", v.TokenHandle})...)
	if v.Subject == "" {
		return found
	}
	return append(found, x.subject(v.Issuer, v.Subject)...)
}

// model is the index as one would write it first.
type model map[*Binding]struct{}

func (m model) of(p middleware.Principal) (n int) {
	for b := range m {
		if q := b.principal.Load(); q.Issuer == p.Issuer && q.Subject == p.Subject {
			n++
		}
	}
	return n
}

func (m model) reached(v middleware.Revocation) (found []*Binding) {
	for b := range m {
		p := b.principal.Load()
		if v.SessionHandle != "" && v.SessionHandle == p.SessionHandle ||
			v.TokenHandle != "" && v.TokenHandle == p.TokenHandle ||
			v.Subject != "" && v.Subject == p.Subject && (v.Issuer == "" || v.Issuer == p.Issuer) {
			found = append(found, b)
		}
	}
	return found
}

// same compares two lists as sets: a binding that two keys reach may be in a list twice.
func same(a, b []*Binding) bool {
	in := map[*Binding]bool{}
	for _, x := range a {
		in[x] = true
	}
	for _, x := range b {
		if !in[x] {
			return false
		}
		delete(in, x)
	}
	return len(in) == 0
}

func (x *index) empty() bool {
	for i := range x.shards {
		for _, heads := range x.shards[i].heads {
			if len(heads) > 0 {
				return false
			}
		}
	}
	return true
}

// hashes are the index's own, and two that collide: every key of a kind in one list, with
// the keys of other kinds in lists of the same hash; and few lists of several keys.
var hashes = map[string]func(x *index){
	"its own hash":          func(*index) {},
	"one hash for all keys": func(x *index) { x.hash = func(key) uint64 { return 5 } },
	"four hashes":           func(x *index) { own := x.hash; x.hash = func(k key) uint64 { return own(k) % 4 } },
}

func TestIndexIsThatOfTheModel(t *testing.T) {
	for name, collide := range hashes {
		t.Run(name, func(t *testing.T) {
			x := newIndex()
			collide(x)
			// A share is counted by hash: keys that collide have one together.
			exact := name == "its own hash"
			compareWithModel(t, x, exact)
		})
	}
}

func compareWithModel(t *testing.T, x *index, exact bool) {
	random := rand.New(rand.NewPCG(1, 2))
	m := model{}
	perPrincipal := 5
	if !exact {
		perPrincipal = unlimited
	}
	var open []*Binding
	for step := range 30_000 {
		switch k := random.IntN(12); {
		case k < 4 || len(open) == 0:
			p := someone(random)
			b := bindingOf(p)
			want := p.Subject == "" || m.of(p) < perPrincipal
			if got := x.add(b, &p, perPrincipal); got != want {
				t.Fatalf("step %d: add %+v: %v, want %v", step, p, got, want)
			}
			if want {
				m[b] = struct{}{}
				open = append(open, b)
			}
		case k < 7 || len(open) > 60:
			i := random.IntN(len(open))
			b := open[i]
			open = slices.Delete(open, i, i+1)
			x.remove(b, b.principal.Load())
			delete(m, b)
			if b.links != [indexKinds]links{} {
				t.Fatalf("step %d: a removed binding keeps its neighbours", step)
			}
		case k < 9:
			b := open[random.IntN(len(open))]
			old, p := b.principal.Load(), someone(random)
			p.Issuer, p.Subject = old.Issuer, old.Subject
			x.replace(b, old, &p)
		default:
			v := someRevocation(random)
			if got, want := x.reached(v), m.reached(v); !same(got, want) {
				t.Fatalf("step %d: %+v reaches %d bindings, want %d", step, v, len(got), len(want))
			}
		}
	}
	for _, b := range open {
		x.remove(b, b.principal.Load())
	}
	if !x.empty() {
		t.Error("keys are left after the last binding")
	}
}

// Run with -race: bindings come, change, go and are looked for at the same time.
func TestIndexIsSafeForConcurrentUse(t *testing.T) {
	for name, collide := range hashes {
		t.Run(name, func(t *testing.T) {
			x := newIndex()
			collide(x)
			var wg sync.WaitGroup
			for worker := range 8 {
				wg.Go(func() { useIndex(t, x, rand.New(rand.NewPCG(3, uint64(worker)))) })
			}
			wg.Wait()
			if !x.empty() {
				t.Error("keys are left after the last binding")
			}
		})
	}
}

func useIndex(t *testing.T, x *index, random *rand.Rand) {
	const perPrincipal = 3
	var own []*Binding
	found := func(b *Binding) {
		p := b.principal.Load()
		v := middleware.Revocation{Subject: p.Subject, SessionHandle: p.SessionHandle, TokenHandle: p.TokenHandle}
		if p.Subject+p.SessionHandle+p.TokenHandle != "" && !slices.Contains(x.reached(v), b) {
			t.Errorf("%+v is entered and not found", *p)
		}
	}
	for range 1000 {
		p := someone(random)
		if b := bindingOf(p); x.add(b, &p, perPrincipal) {
			own = append(own, b)
			found(b)
		}
		if len(own) == 0 {
			continue
		}
		i := random.IntN(len(own))
		if old, p := own[i].principal.Load(), someone(random); random.IntN(3) == 0 {
			p.Issuer, p.Subject = old.Issuer, old.Subject
			x.replace(own[i], old, &p)
			found(own[i])
		}
		if len(own) > 10 || random.IntN(2) == 0 {
			x.remove(own[i], own[i].principal.Load())
			own = slices.Delete(own, i, i+1)
		}
	}
	for _, b := range own {
		x.remove(b, b.principal.Load())
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
				p := middleware.Principal{Issuer: "i", Subject: "ann"}
				if x.add(bindingOf(p), &p, perPrincipal) {
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
// that every issuer's is meant. Which of the subject's credentials are meant, the Auth says.
func TestRevocationsReach(t *testing.T) {
	for name, collide := range hashes {
		t.Run(name, func(t *testing.T) {
			x := newIndex()
			collide(x)
			testReach(t, x)
		})
	}
}

func testReach(t *testing.T, x *index) {
	for id, p := range map[string]middleware.Principal{
		"ann of a":       {Issuer: "a", Subject: "ann", SessionHandle: "s1", TokenHandle: "t1"},
		"ann of b":       {Issuer: "b", Subject: "ann", SessionHandle: "s2", TokenHandle: "t2"},
		"ann of nobody":  {Subject: "ann"},
		"bob of a":       {Issuer: "a", Subject: "bob", SessionHandle: "s3", TokenHandle: "t1"},
		"session alone":  {SessionHandle: "s4"},
		"the anonymous":  {Method: "anonymous"},
		"named like one": {Issuer: "a", Subject: "s1"},
	} {
		b := bindingOf(p)
		b.id = id
		if !x.add(b, &p, 10) {
			t.Fatalf("%s: no place", id)
		}
	}
	tests := []struct {
		sentence string
		v        middleware.Revocation
		want     []string
	}{
		{"one issuer's subject", middleware.Revocation{Issuer: "a", Subject: "ann"}, []string{"ann of a"}},
		{"a subject under every issuer", middleware.Revocation{Subject: "ann"}, []string{"ann of a", "ann of b", "ann of nobody"}},
		{"another issuer's subject", middleware.Revocation{Issuer: "c", Subject: "ann"}, nil},
		{"a session", middleware.Revocation{SessionHandle: "s1"}, []string{"ann of a"}},
		{"a session without a subject", middleware.Revocation{SessionHandle: "s4"}, []string{"session alone"}},
		{"a token that two share", middleware.Revocation{TokenHandle: "t1"}, []string{"ann of a", "bob of a"}},
		{
			"all three at once",
			middleware.Revocation{Issuer: "b", Subject: "ann", SessionHandle: "s3", TokenHandle: "t1"},
			[]string{"ann of a", "ann of b", "bob of a"},
		},
		{"an issuer alone names no binding", middleware.Revocation{Issuer: "a"}, nil},
		{"nothing names no binding", middleware.Revocation{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			var got []string
			for _, b := range x.reached(tt.v) {
				got = append(got, b.id)
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, tt.want) {
				t.Errorf("reaches %q, want %q", got, tt.want)
			}
		})
	}
}
