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
	{"beside a real subprotocol", "/ws", app, []string{"chat, ticket.TICKET"}, nil, "accepted", true},
	{"before a real subprotocol", "/ws", app, []string{"ticket.TICKET,chat"}, nil, "accepted", true},
	{"in a line of its own, RFC 6455 §11.3.4", "/ws", app, []string{"chat", "ticket.TICKET"}, nil, "accepted", true},
	{"in the query", "/ws?ticket=TICKET", app, nil, nil, "accepted", true},
	{"in the query among others", "/ws?room=7&ticket=TICKET&x", app, []string{"chat"}, nil, "accepted", true},
	{"in the query, the name encoded", "/ws?%74icket=TICKET", app, nil, nil, "accepted", true},
	{"in the query, a letter of it encoded, RFC 3986 §6.2.2.2", "/ws?ticket=ENCODED", app, nil, nil, "accepted", true},
	{"in the query, a letter of it encoded, from another origin", "/ws?ticket=ENCODED", other, nil, nil, invalid, true},

	{"from another origin that may fetch tickets too", "/ws", other, []string{"chat, ticket.TICKET"}, nil, invalid, true},
	{"from another origin, in the query", "/ws?ticket=TICKET", other, nil, nil, invalid, true},
	{"from another port of its host", "/ws", app + ":8443", []string{"chat, ticket.TICKET"}, nil, invalid, true},
	{"without an origin", "/ws", "", []string{"chat, ticket.TICKET"}, nil, invalid, true},
	{"with its origin twice, RFC 6454 §7.3", "/ws", app, []string{"chat, ticket.TICKET"}, func(r *http.Request) { r.Header["Origin"] = []string{app, app} }, invalid, true},
	{"on another path", "/admin", app, []string{"chat, ticket.TICKET"}, nil, invalid, true},
	{"on a path below", "/ws/", app, []string{"chat, ticket.TICKET"}, nil, invalid, true},

	{"both ways", "/ws?ticket=TICKET", app, []string{"chat, ticket.TICKET"}, nil, several, true},
	{"both ways, another in the query", "/ws?ticket=SECOND", app, []string{"chat, ticket.TICKET"}, nil, several, true},
	{"two subprotocols", "/ws", app, []string{"ticket.SECOND, chat, ticket.TICKET"}, nil, several, true},
	{"one subprotocol twice", "/ws", app, []string{"chat, ticket.TICKET", "ticket.TICKET"}, nil, several, true},
	{"twice in the query", "/ws?ticket=TICKET&ticket=TICKET", app, nil, nil, several, true},
	{"beside one that cannot be read", "/ws?ticket=", app, []string{"chat, ticket.TICKET"}, nil, several, true},
	{"without a real subprotocol beside it", "/ws", app, []string{"ticket.TICKET"}, nil, malformed, true},
	{"behind an empty element", "/ws", app, []string{",ticket.TICKET"}, nil, malformed, true},
	{"before an empty element", "/ws", app, []string{"ticket.TICKET , "}, nil, malformed, true},
	{"beside an empty line", "/ws", app, []string{"", "ticket.TICKET"}, nil, malformed, true},
	{"beside a bearer token, which is no real one", "/ws", app, []string{"base64url.bearer.authorization.securews.YQ, ticket.TICKET"}, nil, malformed, true},
	{"beside what is no token, RFC 6455 §4.1", "/ws", app, []string{"ch@t, ticket.TICKET"}, nil, malformed, true},
	{"on a request that opens no WebSocket", "/ws?ticket=TICKET", app, nil, func(r *http.Request) { delete(r.Header, "Upgrade") }, malformed, true},
	{"on one whose path ends in ours, as it does outside an http.StripPrefix", "/app/ws?ticket=TICKET", app, nil, func(r *http.Request) { delete(r.Header, "Upgrade") }, malformed, true},
	{"on a path that ends in ours", "/app/ws", app, []string{"chat, ticket.TICKET"}, nil, invalid, true},
	{"on a handshake by POST", "/ws?ticket=TICKET", app, nil, func(r *http.Request) { r.Method = "POST" }, malformed, true},

	{"an empty one", "/ws", app, []string{"chat, ticket."}, nil, malformed, false},
	{"in the query, behind an escape that is none", "/ws?ticket=%zzTICKET", app, nil, nil, malformed, false},
	{"an empty one in the query", "/ws?ticket", app, nil, nil, malformed, false},
	{"one letter short", "/ws", app, []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, nil, malformed, false},
	{"bits beyond the 256th, RFC 4648 §3.5", "/ws", app, []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}, nil, malformed, false},
	{"base64 for base64url", "/ws", app, []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+A"}, nil, malformed, false},
	{"padded", "/ws", app, []string{"chat, ticket.TICKET="}, nil, malformed, false},
	{"the prefix in capitals", "/ws", app, []string{"chat, TICKET.TICKET"}, nil, malformed, false},
	{"one that was never issued", "/ws", app, []string{"chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, nil, invalid, false},

	{"none", "/ws", app, []string{"chat"}, nil, "nothing", false},
	{"a parameter of another name", "/ws?tickets=TICKET", app, nil, nil, "nothing", false},
	{"a subprotocol of another name", "/ws", app, []string{"chat, tickets.TICKET"}, nil, "nothing", false},
	{"in the query of another route, as CAS has it", "/login?ticket=TICKET", app, nil, func(r *http.Request) { delete(r.Header, "Upgrade") }, "nothing", false},
	{"in Authorization", "/ws", app, nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer TICKET") }, "nothing", false},
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
		{"within 30 s", 0, 29 * time.Second, 0, "accepted"},
		{"after 30 s", 0, 30 * time.Second, 0, invalid},
		{"within its own lifetime", 2 * time.Minute, 119 * time.Second, 0, "accepted"},
		{"after its own lifetime", time.Second, time.Second, 0, invalid},
		{"before the credential behind it ends", 0, 9 * time.Second, 10 * time.Second, "accepted"},
		{"after the credential behind it", 0, 10 * time.Second, 10 * time.Second, invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, store := range []ticket.Store{nil, &eternal{}} { // a store that forgets the ttl changes nothing
					tickets := newTickets(t, ticket.Config{Lifetime: tt.lifetime, Store: store, Auth: auth(t, user{func(name string) middleware.Principal {
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
		`{"v":1,"path":"/ws","origin":"https://app.example","cid":"c","exp":"2126-01-01T00:00:00Z","principal":{"iss":"i","sub":"s","method":"session","exp":"2026-01-01T00:00:00Z"}}`,
	)}})
	if _, err := tickets.Authenticate(offering("chat, ticket.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")); outcome(err) != "401 credential_expired" {
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
