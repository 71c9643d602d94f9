package ticket_test

import (
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

// owner is a user that tells its own principals by their issuer.
type owner struct {
	user
	issuer string
}

func ownerOf(issuer string) owner {
	return owner{user{func(name string) middleware.Principal {
		p := ann(name)
		p.Issuer = issuer
		return p
	}}, issuer}
}

func (o owner) Owns(p middleware.Principal) bool { return p.Issuer == o.issuer }

// Attack: a ticket of a node whose issuer is another one opens a connection that no sign-out of this
// node reaches. It is refused, and consumed, unless an authenticator may know the principal.
func TestTicketsOfForeignPrincipals(t *testing.T) {
	t.Parallel()
	list := middleware.NewRevocations()
	for name, tt := range map[string]struct {
		here []middleware.Authenticator
		want string
	}{
		"the same issuer":                {[]middleware.Authenticator{ownerOf("one")}, "accepted"},
		"another issuer":                 {[]middleware.Authenticator{ownerOf("two")}, invalid},
		"another, and the anonymous":     {[]middleware.Authenticator{ownerOf("two"), middleware.Anonymous()}, invalid},
		"another, with revocations":      {[]middleware.Authenticator{middleware.WithRevocations(ownerOf("two"), list)}, invalid},
		"another, within an Auth":        {[]middleware.Authenticator{auth(t, ownerOf("two"))}, invalid},
		"the same, beside another":       {[]middleware.Authenticator{ownerOf("two"), ownerOf("one")}, "accepted"},
		"the same, with revocations":     {[]middleware.Authenticator{middleware.WithRevocations(ownerOf("one"), list)}, "accepted"},
		"the same, within an Auth":       {[]middleware.Authenticator{auth(t, ownerOf("one"))}, "accepted"},
		"one that may have any":          {[]middleware.Authenticator{&user{}}, "accepted"},
		"one that may have any, revoked": {[]middleware.Authenticator{middleware.WithRevocations(&user{}, list)}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory(t, 10)
			there := newTickets(t, ticket.Config{Auth: auth(t, ownerOf("one")), Store: store, Lifetime: time.Minute})
			here := newTickets(t, ticket.Config{Auth: auth(t, tt.here...), Store: store, Lifetime: time.Minute})
			r := offering("chat, " + fetch(t, there, app, "ann").Subprotocol)
			_, err := here.Authenticate(r)
			if outcome(err) != tt.want {
				t.Fatalf("%s, %v; want %s", outcome(err), err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), `issued for "one": no authenticator of Config.Auth `) {
				t.Errorf("the cause is %v", err)
			}
			if _, err := there.Authenticate(r); outcome(err) != invalid {
				t.Errorf("once more: %s", outcome(err))
			}
		})
	}
}
