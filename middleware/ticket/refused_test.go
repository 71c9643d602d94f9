package ticket_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
)

// socket is a ws.Handler that tickets open.
func socket(t *testing.T, tickets *ticket.Tickets) *ws.Handler {
	t.Helper()
	h, _ := socketIn(t, tickets)
	return h
}

func socketIn(t *testing.T, tickets *ticket.Tickets) (*ws.Handler, *live.Registry) {
	t.Helper()
	registry, err := live.New(live.Config{})
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := middleware.NewHostPolicy("app.example")
	if err != nil {
		t.Fatal(err)
	}
	h, err := ws.New(ws.Config{
		Origins: origins(t, false), Hosts: hosts, Auth: auth(t, tickets), Live: registry, Subprotocols: []string{"chat"},
		Serve: func(context.Context, *ws.Conn) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, registry
}

// ASVS 4.4.3: an invalid request consumes its ticket even if ws.Handler refuses it before
// authentication, with the ticket in the query and in a subprotocol.
func TestRefusedBeforeAuthentication(t *testing.T) {
	t.Parallel()
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for _, tt := range []struct {
		name string
		edit func(*http.Request)
		want string
	}{
		{"in the clear (RFC 6455 §10.6)", func(r *http.Request) { r.TLS = nil }, "403 tls_required"},
		{"an origin that is not on the list", set("Origin", "https://evil.example"), "403 origin_not_allowed"},
		{"two origins", set("Origin", app, app), "403 origin_malformed"},
		{"no origin", set("Origin"), "403 origin_missing"},
		{"another site by Sec-Fetch-Site", set("Sec-Fetch-Site", "cross-site"), "403 fetch_metadata"},
		{"another host (DNS rebinding)", func(r *http.Request) { r.Host = "evil.example" }, "421 host_not_allowed"},
		{"no handshake, as from the address bar", func(r *http.Request) {
			for _, name := range []string{"Upgrade", "Connection", "Origin"} {
				delete(r.Header, name)
			}
		}, "426 upgrade_required"},
		{"a handshake by POST", func(r *http.Request) { r.Method = "POST" }, "405 method_not_allowed"},
		{"another version (RFC 6455 §4.4)", set("Sec-Websocket-Version", "8"), "426 websocket_version"},
		{"no key (RFC 6455 §4.2.1)", set("Sec-Websocket-Key"), "400 bad_handshake"},
		{"a subprotocol that is not spoken", func(r *http.Request) {
			lines := r.Header["Sec-Websocket-Protocol"]
			lines[0] = strings.Replace(lines[0], "chat", "other", 1)
		}, "400 subprotocol"},
	} {
		for way, target := range map[string]string{"in the query": "/ws?ticket=TICKET", "as a subprotocol": "/ws"} {
			t.Run(tt.name+", "+way, func(t *testing.T) {
				t.Parallel()
				tickets := newTickets(t, ticket.Config{})
				h, a := socket(t, tickets), fetch(t, tickets, app, "ann")
				offer := "chat"
				if target == "/ws" {
					offer += ", " + a.Subprotocol
				}
				r := handshake(app+strings.ReplaceAll(target, "TICKET", a.Ticket), app, "Sec-WebSocket-Protocol", offer)
				tt.edit(r)
				if _, got := serve(h, r); got != tt.want {
					t.Errorf("answered %s, want %s", got, tt.want)
				}
				if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); outcome(err) != invalid {
					t.Errorf("a valid use afterwards: %s", outcome(err))
				}
			})
		}
	}
}

// A valid handshake that comes at the wrong time leaves its ticket good, and Check has no
// effect.
func TestValidRequestThatIsRefusedLeavesATicketGood(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{})
	a := fetch(t, tickets, app, "ann")
	right := func() *http.Request {
		return handshake(app+"/ws", app, "Sec-WebSocket-Protocol", "chat, "+a.Subprotocol)
	}
	h, registry := socketIn(t, tickets)
	wrong := right()
	delete(wrong.Header, "Upgrade")
	if err := h.Check(wrong); outcome(err) != "426 upgrade_required" {
		t.Errorf("checked: %s", outcome(err))
	}
	if err := registry.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, got := serve(h, right()); got != "503 draining" {
		t.Errorf("draining: answered %s", got)
	}
	if _, err := tickets.Authenticate(right()); err != nil {
		t.Errorf("a valid use afterwards: %v", err)
	}
}

// counting is a Store that counts the calls of Consume, which find nothing.
type counting struct {
	eternal
	took atomic.Int64
}

func (c *counting) Consume(context.Context, string) ([]byte, error) {
	c.took.Add(1)
	return nil, errors.New("down")
}

// A refused request costs the store no more than two calls.
func TestConsumeIsBounded(t *testing.T) {
	t.Parallel()
	const a, b, c = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tt := range []struct {
		name string
		r    *http.Request
		want int64
	}{
		{"none", offering("chat"), 0},
		{"what cannot be read", offering("chat, ticket.x"), 0},
		{"of another route, as CAS has it", func() *http.Request {
			r := handshake("/login?ticket="+a, app)
			delete(r.Header, "Upgrade")
			return r
		}(), 0},
		{"one", offering("ticket." + a), 1},
		{"one twice", offering("ticket." + a + ", ticket." + a), 1},
		{"three", offering("ticket." + a + ", ticket." + b + ", ticket." + c), 2},
		{"three, both ways", handshake("/ws?ticket="+a+"&ticket="+b, app, "Sec-WebSocket-Protocol", "ticket."+c), 2},
	} {
		store := &counting{}
		tickets := newTickets(t, ticket.Config{Store: store})
		tickets.Consume(tickets.Stripped(tt.r))
		if got := store.took.Load(); got != tt.want {
			t.Errorf("%s: the store was asked %d times, want %d", tt.name, got, tt.want)
		}
	}
	for _, zero := range []*ticket.Tickets{nil, {}} {
		zero.Consume(offering("ticket." + a))
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		newTickets(t, ticket.Config{Store: hanging{}}).Consume(offering("ticket." + a + ", ticket." + b))
		if took := time.Since(start); took != time.Second {
			t.Errorf("a store that hangs took %v", took)
		}
	})
}

// A peer that hangs up ends its request's context; an invalid use consumes the ticket anyway.
func TestPeerThatDisconnectsHasConsumedATicket(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*ticket.Tickets, *http.Request){
		"accepted":                       func(k *ticket.Tickets, r *http.Request) { _, _ = k.Authenticate(r) },
		"refused before it was accepted": func(k *ticket.Tickets, r *http.Request) { k.Consume(r) },
	} {
		tickets := newTickets(t, ticket.Config{Store: &giving{}})
		a := fetch(t, tickets, app, "ann")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		use(tickets, handshake("/ws?ticket="+a.Ticket, other).WithContext(gone))
		if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); outcome(err) != invalid {
			t.Errorf("%s: a valid use afterwards: %s", name, outcome(err))
		}
	}
}

// giving is a Store that gives up when its context ends, as one over a network does.
type giving struct{ eternal }

func (g *giving) Consume(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return g.eternal.Consume(ctx, key)
}
