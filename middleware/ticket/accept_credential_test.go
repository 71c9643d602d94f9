package ticket_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

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
