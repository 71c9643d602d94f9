package middleware_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// once is a credential that is good once. Its Authenticate consumes.
type once struct {
	headerCredential
	consumed int
	ended    bool          // the last Consume got a context that had ended
	delay    time.Duration // of Consume, which ignores its context
}

func (o *once) Authenticate(r *http.Request) (middleware.Principal, error) {
	if r.Header.Get(o.header) != "" {
		o.consumed++
	}
	return o.headerCredential.Authenticate(r)
}

func (o *once) Consume(r *http.Request) {
	if r.Header.Get(o.header) != "" {
		o.consumed++
		o.ended = r.Context().Err() != nil
		time.Sleep(o.delay)
	}
}

// A credential that is good once is consumed by every request that carries it: by
// Authenticate if it is asked, otherwise by Consume.
func TestConsume(t *testing.T) {
	t.Parallel()
	ticket := &once{headerCredential: headerCredential{header: "X-Ticket"}}
	auth := mustAuth(t, &headerCredential{header: "X-Cookie"}, &headerCredential{header: "X-Bearer"}, ticket)
	nested := mustAuth(t, auth)
	consumed := func(name string, want int) {
		t.Helper()
		if ticket.consumed != want {
			t.Errorf("%s: consumed %d times, want %d", name, ticket.consumed, want)
		}
		ticket.consumed = 0
	}
	refused := func(a *middleware.Auth, header ...string) {
		t.Helper()
		if _, err := a.Authenticate(requestWith("GET", "/", header...)); err == nil {
			t.Errorf("accepted %q", header)
		}
	}
	auth.Consume(requestWith("GET", "/", "X-Ticket", "ann"))
	consumed("refused for another reason", 1)
	nested.Consume(requestWith("GET", "/", "X-Ticket", "ann"))
	consumed("refused for another reason in front of a nested Auth", 1)
	auth.Consume(requestWith("GET", "/", "X-Bearer", "ann"))
	consumed("no such credential", 0)
	r, err := auth.Admit(requestWith("GET", "/", "X-Ticket", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	consumed("admitted", 1)
	auth.Consume(r)
	consumed("vouched for by this Auth", 0)
	nested.Consume(r)
	consumed("vouched for by the nested Auth", 0)
	mustAuth(t, ticket).Consume(r)
	consumed("vouched for by another Auth", 1)
	refused(auth, "X-Cookie", "ann", "X-Ticket", "ann")
	consumed("the second of two", 1)
	refused(auth, "X-Cookie", "ann", "X-Bearer", "ann", "X-Ticket", "ann")
	consumed("the third of three, which is not asked", 1)
	refused(auth, "X-Cookie", "bad", "X-Ticket", "ann")
	consumed("beside an invalid one", 1)
	var zero *middleware.Auth
	zero.Consume(r)
	new(middleware.Auth).Consume(r)
}

// Consume takes 2 s at most, for all authenticators together.
func TestConsumeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(header string) *once {
			return &once{headerCredential: headerCredential{header: header}, delay: time.Minute}
		}
		auth := mustAuth(t, slow("X-A"), mustAuth(t, slow("X-B")), slow("X-C"))
		start := time.Now()
		auth.Consume(requestWith("GET", "/", "X-A", "1", "X-B", "1", "X-C", "1"))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		auth.Consume(requestWith("GET", "/"))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("a request without credentials took %v", took-2*time.Second)
		}
		time.Sleep(time.Hour) // until the calls have returned
	})
}

type panickingConsumer struct{ headerCredential }

func (*panickingConsumer) Consume(*http.Request) { panic("s3cret") }

func TestConsumeContainsPanics(t *testing.T) {
	t.Parallel()
	mustAuth(t, &panickingConsumer{headerCredential{header: "X-Ticket"}}).Consume(requestWith("GET", "/"))
}
