package ticket_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
)

// What ws.Handler refuses before it asks who a request is from costs no question to the
// store, and leaves the ticket good.
func TestRefusedBeforeItIsAskedFor(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{})
	h, err := ws.New(ws.Config{
		Origins: origins(t, false), Auth: auth(t, tickets), Subprotocols: []string{"chat"},
		Serve: func(context.Context, *ws.Conn) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, want string, edit func(*http.Request)) {
		a := fetch(t, tickets, app, "ann")
		r := handshake(app+"/ws?ticket="+a.Ticket, app, "Sec-WebSocket-Protocol", "chat")
		edit(r)
		if _, got := serve(h, r); got != want {
			t.Errorf("%s: answered %s, want %s", name, got, want)
		}
		if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); err != nil {
			t.Errorf("%s: the right use afterwards: %v", name, err)
		}
	}
	refused("in the clear", "403 tls_required", func(r *http.Request) { r.TLS = nil })
	refused("an origin that is not on the list", "403 origin_not_allowed", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	refused("no handshake", "426 upgrade_required", func(r *http.Request) { delete(r.Header, "Upgrade") })
	if err := h.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused("draining", "503 draining", func(*http.Request) {})
}
