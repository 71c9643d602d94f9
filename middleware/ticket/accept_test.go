package ticket_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

const (
	invalid   = "401 credential_invalid"
	malformed = "400 credential_malformed"
	several   = "400 multiple_credentials"
)

// redemption is a use of a ticket TICKET beside another good one, SECOND; a valid
// use afterwards shows whether it was consumed.
type redemption struct {
	name     string
	target   string
	origin   string
	protocol []string
	edit     func(r *http.Request)
	want     string
	consumed bool
}

var redemptions = []redemption{
	{
		name: "beside a real subprotocol", target: "/ws", origin: app,
		protocol: []string{"chat, ticket.TICKET"}, want: "accepted", consumed: true,
	},
	{
		name: "before a real subprotocol", target: "/ws", origin: app,
		protocol: []string{"ticket.TICKET,chat"}, want: "accepted", consumed: true,
	},
	{
		name: "in a line of its own, RFC 6455 §11.3.4", target: "/ws",
		origin: app, protocol: []string{"chat", "ticket.TICKET"}, want: "accepted", consumed: true,
	},
	{name: "in the query", target: "/ws?ticket=TICKET", origin: app, want: "accepted", consumed: true},
	{
		name: "in the query among others", target: "/ws?room=7&ticket=TICKET&x",
		origin: app, protocol: []string{"chat"}, want: "accepted", consumed: true,
	},
	{name: "in the query, the name encoded", target: "/ws?%74icket=TICKET", origin: app, want: "accepted", consumed: true},
	{
		name:   "in the query, a letter of it encoded, RFC 3986 §6.2.2.2",
		target: "/ws?ticket=ENCODED", origin: app, want: "accepted", consumed: true,
	},
	{
		name:   "in the query, a letter of it encoded, from another origin",
		target: "/ws?ticket=ENCODED", origin: other, want: invalid, consumed: true,
	},

	{
		name:   "from another origin that may fetch tickets too",
		target: "/ws", origin: other, protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true,
	},
	{name: "from another origin, in the query", target: "/ws?ticket=TICKET", origin: other, want: invalid, consumed: true},
	{
		name: "from another port of its host", target: "/ws", origin: app + ":8443",
		protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true,
	},
	{name: "without an origin", target: "/ws", protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true},
	{
		name: "with its origin twice, RFC 6454 §7.3", target: "/ws", origin: app, protocol: []string{"chat, ticket.TICKET"},
		edit: func(r *http.Request) { r.Header["Origin"] = []string{app, app} }, want: invalid, consumed: true,
	},
	{name: "on another path", target: "/admin", origin: app, protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true},
	{name: "on a path below", target: "/ws/", origin: app, protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true},

	{name: "both ways", target: "/ws?ticket=TICKET", origin: app, protocol: []string{"chat, ticket.TICKET"}, want: several, consumed: true},
	{
		name: "both ways, another in the query", target: "/ws?ticket=SECOND",
		origin: app, protocol: []string{"chat, ticket.TICKET"}, want: several, consumed: true,
	},
	{
		name: "two subprotocols", target: "/ws", origin: app, protocol: []string{"ticket.SECOND, chat, ticket.TICKET"},
		want: several, consumed: true,
	},
	{
		name: "one subprotocol twice", target: "/ws", origin: app,
		protocol: []string{"chat, ticket.TICKET", "ticket.TICKET"}, want: several, consumed: true,
	},
	{name: "twice in the query", target: "/ws?ticket=TICKET&ticket=TICKET", origin: app, want: several, consumed: true},
	{
		name: "beside one that cannot be read", target: "/ws?ticket=",
		origin: app, protocol: []string{"chat, ticket.TICKET"}, want: several, consumed: true,
	},
	{
		name: "without a real subprotocol beside it", target: "/ws",
		origin: app, protocol: []string{"ticket.TICKET"}, want: malformed, consumed: true,
	},
	{name: "behind an empty element", target: "/ws", origin: app, protocol: []string{",ticket.TICKET"}, want: malformed, consumed: true},
	{name: "before an empty element", target: "/ws", origin: app, protocol: []string{"ticket.TICKET , "}, want: malformed, consumed: true},
	{name: "beside an empty line", target: "/ws", origin: app, protocol: []string{"", "ticket.TICKET"}, want: malformed, consumed: true},
	{
		name: "beside a bearer token, which is no real one", target: "/ws", origin: app,
		protocol: []string{"base64url.bearer.authorization.securews.YQ, ticket.TICKET"}, want: malformed, consumed: true,
	},
	{
		name: "beside what is no token, RFC 6455 §4.1", target: "/ws",
		origin: app, protocol: []string{"ch@t, ticket.TICKET"}, want: malformed, consumed: true,
	},
	{
		name: "on a request that opens no WebSocket", target: "/ws?ticket=TICKET",
		origin: app, edit: func(r *http.Request) { delete(r.Header, "Upgrade") }, want: malformed, consumed: true,
	},
	{
		name: "on one whose path ends in ours, as it does outside an http.StripPrefix", target: "/app/ws?ticket=TICKET",
		origin: app, edit: func(r *http.Request) { delete(r.Header, "Upgrade") }, want: malformed, consumed: true,
	},
	{
		name: "on a path that ends in ours", target: "/app/ws",
		origin: app, protocol: []string{"chat, ticket.TICKET"}, want: invalid, consumed: true,
	},
	{
		name: "on a handshake by POST", target: "/ws?ticket=TICKET",
		origin: app, edit: func(r *http.Request) { r.Method = "POST" }, want: malformed, consumed: true,
	},

	{name: "an empty one", target: "/ws", origin: app, protocol: []string{"chat, ticket."}, want: malformed},
	{name: "in the query, behind an escape that is none", target: "/ws?ticket=%zzTICKET", origin: app, want: malformed},
	{name: "an empty one in the query", target: "/ws?ticket", origin: app, want: malformed},
	{
		name: "one letter short", target: "/ws", origin: app, protocol: []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		want: malformed,
	},
	{
		name: "bits beyond the 256th, RFC 4648 §3.5", target: "/ws",
		origin: app, protocol: []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}, want: malformed,
	},
	{
		name: "base64 for base64url", target: "/ws", origin: app,
		protocol: []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+A"}, want: malformed,
	},
	{name: "padded", target: "/ws", origin: app, protocol: []string{"chat, ticket.TICKET="}, want: malformed},
	{name: "the prefix in capitals", target: "/ws", origin: app, protocol: []string{"chat, TICKET.TICKET"}, want: malformed},
	{
		name: "one that was never issued", target: "/ws", origin: app,
		protocol: []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, want: invalid,
	},

	{name: "none", target: "/ws", origin: app, protocol: []string{"chat"}, want: "nothing"},
	{name: "a parameter of another name", target: "/ws?tickets=TICKET", origin: app, want: "nothing"},
	{name: "a subprotocol of another name", target: "/ws", origin: app, protocol: []string{"chat, tickets.TICKET"}, want: "nothing"},
	{
		name: "in the query of another route, as CAS has it", target: "/login?ticket=TICKET",
		origin: app, edit: func(r *http.Request) { delete(r.Header, "Upgrade") }, want: "nothing",
	},
	{
		name: "in Authorization", target: "/ws", origin: app,
		edit: func(r *http.Request) { r.Header.Set("Authorization", "Bearer TICKET") },
		want: "nothing",
	},
}

// ASVS 4.4.3, 4.4.4: a ticket is good once, for one origin and one path, and its first use
// consumes it in every case. An outer layer that strips it changes nothing.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	for _, tt := range redemptions {
		for _, stripped := range []bool{false, true} {
			name := tt.name
			if stripped {
				name += ", stripped in an outer layer"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tickets := newTickets(t, ticket.Config{})
				good := fetch(t, tickets, app, "ann")
				fill := strings.NewReplacer("TICKET.TICKET", "TICKET."+good.Ticket, "TICKET", good.Ticket,
					"ENCODED", fmt.Sprintf("%%%02x%s", good.Ticket[0], good.Ticket[1:]), "SECOND", fetch(t, tickets, app, "ann").Ticket)
				r := handshake(fill.Replace(tt.target), tt.origin)
				for _, line := range tt.protocol {
					r.Header["Sec-Websocket-Protocol"] = append(r.Header["Sec-Websocket-Protocol"], fill.Replace(line))
				}
				if tt.edit != nil {
					tt.edit(r)
				}
				if stripped {
					r = tickets.Stripped(r)
				}
				_, err := tickets.Authenticate(r)
				if got := outcome(err); got != tt.want {
					t.Errorf("answered %s, want %s (%v)", got, tt.want, err)
				}
				if err != nil && strings.Contains(err.Error(), good.Ticket) {
					t.Errorf("the error tells the ticket: %v", err)
				}
				want := "accepted"
				if tt.consumed {
					want = invalid
				}
				if _, err := tickets.Authenticate(offering("chat, ticket." + good.Ticket)); outcome(err) != want {
					t.Errorf("a valid use afterwards: %s, want %s", outcome(err), want)
				}
			})
		}
	}
}

// The principal is that of the issuing request, with every field by which it can end.
func TestPrincipal(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(time.Hour).UTC().Round(0)
	tickets := newTickets(t, ticket.Config{Auth: auth(t, user{func(name string) middleware.Principal {
		p := ann(name)
		p.Roles, p.AuthTime = []string{"admin"}, signedIn.Add(-time.Minute)
		p.Expires = ends
		return p
	}})})
	w, _ := serve(tickets.Issue(), post(app, "ann"))
	var a issued
	mustDecode(t, w, &a)
	got, err := tickets.Authenticate(offering("chat, " + a.Subprotocol))
	if err != nil {
		t.Fatal(err)
	}
	want := middleware.Principal{
		Issuer: "https://id.example", Subject: "ann", SessionHandle: "s-ann", TokenHandle: "t-ann", Connection: a.CID, Method: "ticket",
		Scopes: []string{"read", "write"}, Attributes: map[string]string{"tenant": "t1", "ticket_method": "session"},
		Roles: []string{"admin"}, IssuedAt: signedIn, AuthTime: signedIn.Add(-time.Minute), Expires: ends,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if a.RefreshAfter < 2870 || a.RefreshAfter > 2880 {
		t.Errorf("refresh_after is %d for a credential of an hour", a.RefreshAfter)
	}
}
