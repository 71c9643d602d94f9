package middleware_test

import (
	"net/http"
	"testing"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// ownCredential is an authenticator that bounds itself, as those of this module do.
type ownCredential struct {
	bounded.Self
	headerCredential
}

// ownRevocable is one with revocations.
type ownRevocable struct {
	bounded.Self
	*counting
}

func authCases(t testing.TB) map[string]func() {
	own := &ownCredential{headerCredential: headerCredential{header: "X-Bearer"}}
	other := &ownCredential{headerCredential: headerCredential{header: "X-Other"}}
	sessions := &ownRevocable{counting: newCounting("X-Session")}
	list := middleware.NewRevocations()
	r := requestWith("GET", "/", "X-Bearer", "ann")
	idle := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	return map[string]func(){
		"two kinds":        serving(mustAuth(t, own, other).Handler(idle), r),
		"with a Revocable": serving(mustAuth(t, own, sessions).Handler(idle), r),
		"with a shared list": serving(mustAuth(t, middleware.WithRevocations(own, list),
			middleware.WithRevocations(other, list)).Handler(idle), r),
		"nested": serving(mustAuth(t, mustAuth(t, own), other).Handler(idle), r),
	}
}

func BenchmarkAuth(b *testing.B) {
	for name, call := range authCases(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// An Auth over authenticators that bound themselves allocates the voucher, the context and
// the request; one in an Auth a second voucher.
func TestAuthAllocations(t *testing.T) {
	if racing {
		t.Skip()
	}
	for name, call := range authCases(t) {
		most := 3.0
		if name == "nested" {
			most = 4
		}
		if got := testing.AllocsPerRun(200, call); got > most {
			t.Errorf("%s: %v allocations, want at most %v", name, got, most)
		}
	}
}
