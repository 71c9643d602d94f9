package ticket_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// RFC 8705 §3: a ticket for a credential that is bound to a client certificate is good with
// that certificate, and with any or none for every other; an invalid use consumes it.
func TestCertificateBoundTickets(t *testing.T) {
	t.Parallel()
	with := func(raw ...string) *tls.ConnectionState {
		state := &tls.ConnectionState{}
		for _, s := range raw {
			state.PeerCertificates = append(state.PeerCertificates, &x509.Certificate{Raw: []byte(s)})
		}
		return state
	}
	sum := sha256.Sum256([]byte("hers"))
	bound := base64.RawURLEncoding.EncodeToString(sum[:])
	for _, tt := range []struct {
		name  string
		bound string
		state *tls.ConnectionState
		want  string
	}{
		{"that certificate", bound, with("hers", "its issuer's"), "accepted"},
		{"another one", bound, with("his"), invalid},
		{"that certificate as an issuer's", bound, with("his", "hers"), invalid},
		{"no certificate", bound, with(), invalid},
		{"no TLS that ends here", bound, nil, invalid},
		{"a thumbprint that is none", "hers", with("hers"), invalid},
		{"bound to none, without one", "", nil, "accepted"},
		{"bound to none, with one", "", with("his"), "accepted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tickets := newTickets(t, ticket.Config{Auth: auth(t, user{func(name string) middleware.Principal {
				p := ann(name)
				p.Binding.CertificateSHA256 = tt.bound
				return p
			}})})
			w, _ := serve(tickets.Issue(), post(app, "ann"))
			var a issued
			mustDecode(t, w, &a)
			r := offering("chat, " + a.Subprotocol)
			r.TLS = tt.state
			p, err := tickets.Authenticate(r)
			if outcome(err) != tt.want || err == nil && p.Binding.CertificateSHA256 != tt.bound {
				t.Errorf("answered %s, bound to %q; want %s", outcome(err), p.Binding.CertificateSHA256, tt.want)
			}
			r.TLS = with("hers")
			if _, err := tickets.Authenticate(r); outcome(err) != invalid {
				t.Errorf("a valid use afterwards: %s", outcome(err))
			}
		})
	}
}

func TestTicketsEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		after    time.Duration
		ends     time.Duration // the credential behind; 0: never
		want     string
	}{
		{name: "within 30 s", after: 29 * time.Second, want: "accepted"},
		{name: "after 30 s", after: 30 * time.Second, want: invalid},
		{name: "within its own lifetime", lifetime: 2 * time.Minute, after: 119 * time.Second, want: "accepted"},
		{name: "after its own lifetime", lifetime: time.Second, after: time.Second, want: invalid},
		{name: "before the credential behind it ends", after: 9 * time.Second, ends: 10 * time.Second, want: "accepted"},
		{name: "after the credential behind it", after: 10 * time.Second, ends: 10 * time.Second, want: invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, store := range []ticket.Store{nil, &eternal{}} { // a store that forgets the ttl changes nothing
					tickets := newTickets(t,
						ticket.Config{Lifetime: tt.lifetime, Store: store, Auth: auth(t, user{func(name string) middleware.Principal {
							p := ann(name)
							if tt.ends != 0 {
								p.Expires = time.Now().Add(tt.ends)
							}
							return p
						}})})
					w, _ := serve(tickets.Issue(), post(app, "ann"))
					var a issued
					mustDecode(t, w, &a)
					time.Sleep(tt.after)
					if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); outcome(err) != tt.want {
						t.Errorf("answered %s, want %s", outcome(err), tt.want)
					}
				}
			})
		})
	}
}

// A record of another version may outlive its credential.
func TestTicketOfACredentialThatHasEnded(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{Store: broken{value: []byte(
		`{"v":1,"path":"/ws","origin":"https://app.example","cid":"c","exp":"2126-01-01T00:00:00Z","principal":{"iss":"i","sub":"s",` +
			`"method":"session","exp":"2026-01-01T00:00:00Z"}}`,
	)}})
	if _, err := tickets.Authenticate(offering("chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")); outcome(err) !=
		"401 credential_expired" {
		t.Errorf("answered %s", outcome(err))
	}
}

// A client without an Origin gets a ticket if the policy admits it, for a handshake
// without one.
func TestNativeClients(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{Origins: origins(t, true)})
	if _, err := tickets.Authenticate(handshake("/ws?ticket="+fetch(t, tickets, "", "ann").Ticket, "")); err != nil {
		t.Errorf("without an Origin, both times: %v", err)
	}
	if _, err := tickets.Authenticate(handshake("/ws?ticket="+fetch(t, tickets, "", "ann").Ticket, app)); outcome(err) != invalid {
		t.Errorf("from a page: %s", outcome(err))
	}
}

func TestRevokedSinceItWasIssued(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]middleware.Revocation{
		"the session":        {SessionHandle: "s-ann"},
		"the token":          {TokenHandle: "t-ann"},
		"everything of hers": {Issuer: "https://id.example", Subject: "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			revocations := middleware.NewRevocations()
			tickets := newTickets(t, ticket.Config{Auth: auth(t, middleware.WithRevocations(user{}, revocations))})
			a := fetch(t, tickets, app, "ann")
			if err := revocations.Revoke(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); outcome(err) != "401 credential_revoked" {
				t.Errorf("answered %s", outcome(err))
			}
		})
	}
}

// Of 50 that present one ticket at once, one is admitted; 200 times.
func TestOneOfManyIsAdmitted(t *testing.T) {
	t.Parallel()
	const rounds, racers = 200, 50
	tickets := newTickets(t, ticket.Config{})
	var winners atomic.Int64
	for range rounds {
		a := fetch(t, tickets, app, "ann")
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				r := offering("chat, " + a.Subprotocol)
				if i%2 == 0 {
					r = handshake("/ws?ticket="+a.Ticket, app)
				}
				<-start
				switch _, err := tickets.Authenticate(r); outcome(err) {
				case "accepted":
					winners.Add(1)
				case invalid:
				default:
					t.Errorf("a loser is answered %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
	}
	if got := winners.Load(); got != rounds {
		t.Errorf("%d winners in %d rounds of %d", got, rounds, racers)
	}
	t.Logf("%d rounds of %d: %d winners", rounds, racers, winners.Load())
}

func TestTheZeroTicketsRefuse(t *testing.T) {
	t.Parallel()
	for _, tickets := range []*ticket.Tickets{nil, {}} {
		if _, err := tickets.Authenticate(offering("chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")); outcome(err) != invalid {
			t.Errorf("authenticate: %s", outcome(err))
		}
		if _, got := serve(tickets.Issue(), post(app, "ann")); got != "403 forbidden" {
			t.Errorf("issue: %s", got)
		}
	}
}
