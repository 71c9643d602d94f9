package middleware_test

import (
	"net/http"
	"testing"

	"github.com/securews/securews/middleware"
)

// once is a credential that is good once.
type once struct {
	headerCredential
	spent int
}

func (o *once) Consume(r *http.Request) {
	if r.Header.Get(o.header) != "" {
		o.spent++
	}
}

// Whatever comes of a request that brings a credential which is good once, it is spent:
// by Authenticate where it is asked, and else by Spend.
func TestSpend(t *testing.T) {
	t.Parallel()
	ticket := &once{headerCredential: headerCredential{header: "X-Ticket"}}
	auth := mustAuth(t, &headerCredential{header: "X-Cookie"}, &headerCredential{header: "X-Bearer"}, ticket)
	spent := func(name string, want int) {
		t.Helper()
		if ticket.spent != want {
			t.Errorf("%s: spent %d times, want %d", name, ticket.spent, want)
		}
		ticket.spent = 0
	}
	auth.Consume(requestWith("GET", "/", "X-Ticket", "ann"))
	spent("refused for another reason", 1)
	auth.Consume(requestWith("GET", "/", "X-Bearer", "ann"))
	spent("nothing of the kind", 0)
	r, err := auth.Admit(requestWith("GET", "/", "X-Ticket", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	auth.Consume(r)
	spent("vouched for by this Auth", 0)
	mustAuth(t, ticket).Consume(r)
	spent("vouched for by another", 1)
	if _, err := auth.Authenticate(requestWith("GET", "/", "X-Cookie", "ann", "X-Bearer", "ann", "X-Ticket", "ann")); err == nil {
		t.Error("three credentials are accepted")
	}
	spent("the third of three, which is not asked", 1)
	var zero *middleware.Auth
	zero.Consume(r)
	new(middleware.Auth).Consume(r)
}
