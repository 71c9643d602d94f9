package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/securews/securews/middleware"
)

// still is a Member that does nothing.
type still struct{ Binding }

func (*still) End(*Cause)             {}
func (*still) Next(int64, bool) int64 { return 0 }

func principals(n int) []middleware.Principal {
	list := make([]middleware.Principal, n)
	for i := range list {
		list[i] = middleware.Principal{
			Issuer:  "https://id.example",
			Subject: fmt.Sprint("subject ", i), SessionHandle: fmt.Sprint("session ", i), TokenHandle: fmt.Sprint("token ", i),
		}
	}
	return list
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAHundredThousandMembersLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 members take 4 s")
	}
	const members = 100_000
	requests := make([]*http.Request, 256)
	for i := range requests {
		requests[i] = requestFrom(fmt.Sprintf("[2001:db8:1:%x::1]:1", i))
	}
	list := principals(members)
	all := make([]still, members)
	inBubble(t, Config{Limits: Limits{Connections: members, PerAddress: members}}, func(t *testing.T, w *world) {
		goroutines := inThisBubble()
		before := heap()
		for i := range all {
			b := &all[i].Binding
			if err := w.Reserve(b, requests[i%len(requests)]); err != nil {
				t.Fatal(err)
			}
			r, err := w.auth.Admit(requests[0].WithContext(context.WithValue(context.Background(), credential{}, list[i])))
			if err != nil {
				t.Fatal(err)
			}
			v, _ := middleware.VoucherFrom(r.Context())
			if err := b.Bind(context.Background(), v, &all[i]); err != nil {
				t.Fatal(err)
			}
			b.Open()
		}
		each := (heap() - before) / members
		t.Logf("%d B a member beside its Binding and its principal's strings; Binding: %d B", each, unsafe.Sizeof(Binding{}))
		if n := w.open.Load(); n != members || w.wheel.n != members || w.awaited != members {
			t.Errorf("%d open, %d in the wheel, %d awaited", n, w.wheel.n, w.awaited)
		}
		synctest.Wait()
		if n := inThisBubble() - goroutines; n != 1 {
			t.Errorf("%d goroutines more, want that of the wheel", n)
		}
		for i := range all {
			all[i].Leave(nil)
		}
		w.wantEmpty()
		synctest.Wait()
		if n := inThisBubble() - goroutines; n != 0 {
			t.Errorf("%d goroutines more", n)
		}
	})
	runtime.KeepAlive(list)
}

// inThisBubble counts the goroutines of the caller's bubble: those of other tests may begin and
// end meanwhile.
func inThisBubble() int {
	buf := make([]byte, 1<<20)
	for n := runtime.Stack(buf, true); n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	header, _, _ := bytes.Cut(buf, []byte("\n")) // goroutine 7 [running, synctest bubble 2]:
	_, bubble, found := bytes.Cut(header, []byte("synctest bubble "))
	bubble, _, _ = bytes.Cut(bubble, []byte("]"))
	if !found {
		panic("not in a bubble")
	}
	return bytes.Count(buf, append([]byte("synctest bubble "), append(bytes.Clone(bubble), ']')...))
}

// baselines.md: the index costs at most 200 B a member, its links in the Binding included.
func TestIndexBytes(t *testing.T) {
	if testing.Short() || racing {
		t.Skip("a million members, and bytes that the race detector changes")
	}
	const members = 1_000_000
	list := principals(members)
	all := make([]Binding, members)
	for i := range all {
		all[i].principal.Store(&list[i])
	}
	x := newIndex()
	before := heap()
	for i := range all {
		if !x.add(&all[i], &list[i], 64) {
			t.Fatal("no place")
		}
	}
	maps := float64(heap()-before) / members
	linked := float64(unsafe.Sizeof(Binding{}.links) + unsafe.Sizeof(Binding{}.ofSubject))
	t.Logf("at %d members: maps %.0f B, links %.0f B, together %.0f B a member; Binding %d B in all",
		members, maps, linked, maps+linked, unsafe.Sizeof(Binding{}))
	if maps+linked > 200 {
		t.Errorf("%.0f B a member, want at most 200", maps+linked)
	}
	if n := testing.AllocsPerRun(1000, func() { x.list(key{bySession, "", "session 4711"}) }); n > 1 {
		t.Errorf("%v allocations for a lookup, want one, of its result", n)
	}
	if n := testing.AllocsPerRun(1000, func() { x.list(key{bySession, "", "unknown"}) }); n > 0 {
		t.Errorf("%v allocations for a lookup that finds nothing", n)
	}
	runtime.KeepAlive(all)
	runtime.KeepAlive(list)
}

// A revocation looks at the bindings in the lists of its keys alone: a subject under every
// issuer at one list for each issuer. The lists are counted, not the time.
func TestNoRevocationWalksAllMembers(t *testing.T) {
	const members = 10_000
	x := newIndex()
	own := x.hash
	looked := 0
	x.hash = func(k key) uint64 {
		h := own(k)
		for b := x.shards[h%uint64(len(x.shards))].heads[k.kind][h]; b != nil; b = b.links[k.kind].next {
			looked++
		}
		return h
	}
	list := principals(members)
	for i := range list {
		list[i].Issuer = fmt.Sprint("issuer ", i%3)
		b := &Binding{}
		b.principal.Store(&list[i])
		x.add(b, &list[i], 64)
	}
	for name, v := range map[string]middleware.Revocation{
		"a session":                   {SessionHandle: "session 7"},
		"a token":                     {TokenHandle: "token 7"},
		"a subject":                   {Issuer: "issuer 1", Subject: "subject 7"},
		"a subject of another issuer": {Issuer: "issuer 2", Subject: "subject 7"},
		"a subject, every issuer":     {Subject: "subject 7"},
		"an unknown subject":          {Subject: "unknown"},
	} {
		looked = 0
		found := len(x.reached(v))
		if looked != found || found > 1 {
			t.Errorf("%s: looked at %d members, found %d", name, looked, found)
		}
	}
}

func BenchmarkIndexRevoke(b *testing.B) {
	x := newIndex()
	list := principals(100_000)
	for i := range list {
		x.add(bindingOf(list[i]), &list[i], 64)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(x.reached(middleware.Revocation{SessionHandle: "session 4711"})) != 1 {
			b.Fatal("not found")
		}
	}
}

// visit is the way of a member through the registry.
func visit(tb testing.TB, g *Registry, r *http.Request, v *middleware.Voucher) {
	m := &still{}
	if err := g.Reserve(&m.Binding, r); err != nil {
		tb.Fatal(err)
	}
	if err := m.Bind(context.Background(), v, m); err != nil {
		tb.Fatal(err)
	}
	m.Open()
	m.Leave(nil)
}

func BenchmarkReserveBindOpenLeave(b *testing.B) {
	g, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	a, err := middleware.NewAuth(newStore())
	if err != nil {
		b.Fatal(err)
	}
	r := requestFrom("192.0.2.1:1")
	first, _ := admit(a, ann)
	m := &still{} // it keeps the wheel turning
	if err := errors.Join(g.Reserve(&m.Binding, r), m.Bind(b.Context(), first, m)); err != nil {
		b.Fatal(err)
	}
	m.Open()
	defer m.Leave(nil)
	time.Sleep(time.Millisecond)
	later, _ := admit(a, ann) // younger than Follow: it is not asked about again
	b.ReportAllocs()
	for b.Loop() {
		visit(b, g, r, later)
	}
}

// The cost of a member with nothing to do, at least once in 64 s.
func BenchmarkWake(b *testing.B) {
	g, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	a, err := middleware.NewAuth(newStore())
	if err != nil {
		b.Fatal(err)
	}
	m := &still{}
	m.init(g, bound)
	m.member = m
	m.principal.Store(&ann)
	m.Binding.follow.Store(&follow{registry: g, auth: a})
	b.ReportAllocs()
	for b.Loop() {
		m.wake(1)
	}
}
