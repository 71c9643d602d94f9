package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/securews/securews/ws/browser"
)

// elsewhere serves a page at another host that has the module and is not part of the chat.
// It has no cookie of the chat: localhost and 127.0.0.1 are different sites.
func elsewhere(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(browser.Root, browser.Handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><script type="module" src="%s" integrity="%s"></script>
<script type="module">import * as securews from %q; window.securews = securews; window.heard = [];</script>`,
			browser.Client.Path(), browser.Client.SRI(), browser.Client.Path())
	})
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// attempt makes a handshake with a ticket and returns "admitted", or how the socket ended.
// It closes the socket.
const attempt = `
window.attempt = (url, ticket, real = "chat.v1") => new Promise((done) => {
	const socket = new WebSocket(url, [real, "ticket." + ticket]);
	socket.onmessage = () => { done("admitted"); socket.close(); };
	socket.onclose = (e) => done((e.code + " " + e.reason).trim());
}), ""`

// ticketHere fetches one as the chat's own page does.
func (b *tab) ticketHere(route string) string {
	b.t.Helper()
	return b.value(`fetch(%q, { method: "POST" }).then((a) => a.json()).then((a) => a.ticket)`, route)
}

func (b *tab) attempt(url, ticket, real string) string {
	b.t.Helper()
	return b.value(`attempt(%q, %q, %q)`, url, ticket, real)
}

func TestTicketsInChromium(t *testing.T) {
	t.Parallel()
	other := elsewhere(t)
	s := startSite(t, generous, other.URL)
	ctx := chromium(t)
	here := newTab(t, ctx)
	here.run(chromedp.Navigate(s.origin))
	here.signIn("alice", s.password)
	there := newTab(t, ctx)
	there.run(chromedp.Navigate(other.URL))
	there.waitFor(`window.securews !== undefined`)
	here.value(attempt)
	there.value(attempt)
	socket, sealed, ws := "wss://"+s.host+socketPath, "wss://"+s.host+sealedPath, "wss://"+s.host+wsPath

	t.Run("another origin has a token for a ticket", func(t *testing.T) {
		there.value(`window.client = securews.connect({
			url: %q, protocols: "chat.v1", hello: () => JSON.stringify({ type: "join", room: "lobby" }),
			ticket: ({ signal }) => securews.fetchTicket(%q, { signal, credentials: "omit", headers: { Authorization: "Bearer " + %q } }),
		}), client.addEventListener("message", (e) => heard.push(e.data)), ""`, socket, s.origin+"/ticket", s.good(t))
		there.waitFor(`heard.some((m) => JSON.parse(m).user === "alice")`)
		there.value(`client.send(JSON.stringify({ type: "say", text: "from elsewhere" })), ""`)
		here.waitMessage("alice", "from elsewhere")
		there.value(`client.close().then((how) => String(how.code))`)
	})
	t.Run("another origin has no cookie", func(t *testing.T) {
		got := there.value(`fetch(%q, { method: "POST" }).then((a) => a.status + "", (e) => e.name)`, s.origin+"/ticket")
		if got != "401" {
			t.Errorf("a ticket without a token: %s, want 401", got)
		}
	})

	one := here.ticketHere("/ticket")
	steal, astray, lost := here.ticketHere("/ticket"), here.ticketHere("/ticket"), here.ticketHere("/ticket/sealed")
	cases := []struct {
		name         string
		b            *tab
		url, ticket  string
		real, answer string
	}{
		{name: "a ticket opens a socket", b: here, url: socket, ticket: one, real: "chat.v1", answer: "admitted"},
		{name: "twice it does not", b: here, url: socket, ticket: one, real: "chat.v1", answer: "3000 reauth"},
		{name: "from another origin it does not", b: there, url: socket, ticket: steal, real: "chat.v1", answer: "3000 reauth"},
		{name: "and is used up by that", b: here, url: socket, ticket: steal, real: "chat.v1", answer: "3000 reauth"},
		{name: "on another path it does not", b: here, url: sealed, ticket: astray, real: "hpke1.chat.v1", answer: "3000 reauth"},
		{name: "and is used up by that, too", b: here, url: socket, ticket: astray, real: "chat.v1", answer: "3000 reauth"},
		{name: "one for the sealed path opens nothing else", b: here, url: socket, ticket: lost, real: "chat.v1", answer: "3000 reauth"},
		{
			name: "where tickets are not known, it is no credential",
			b:    there, url: ws, ticket: here.ticketHere("/ticket"), real: "chat.v1", answer: "1006",
		},
		{name: "what was never a ticket", b: here, url: socket, ticket: strings.Repeat("A", 43), real: "chat.v1", answer: "3000 reauth"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.b.attempt(c.url, c.ticket, c.real); got != c.answer {
				t.Errorf("%q, want %q", got, c.answer)
			}
		})
	}
}

func TestLateTicketInChromium(t *testing.T) {
	t.Parallel()
	limits := generous
	limits.ticketLife = time.Second
	s := startSite(t, limits)
	here := newTab(t, chromium(t))
	here.run(chromedp.Navigate(s.origin))
	here.signIn("alice", s.password)
	here.value(attempt)
	ticket := here.ticketHere("/ticket")
	here.value(`window.fetched = performance.now(), ""`)
	here.waitFor(`performance.now() - fetched > 1100`)
	if got := here.attempt("wss://"+s.host+socketPath, ticket, "chat.v1"); got != "3000 reauth" {
		t.Errorf("after its second: %q", got)
	}
}

// A layer in front of the socket refuses, and the page's script reads why.
func TestTooManyHandshakesInChromium(t *testing.T) {
	t.Parallel()
	s := startSite(t, bounds{handshakesPerMinute: 1, loginsPerMinute: 1_000})
	here := newTab(t, chromium(t))
	here.run(chromedp.Navigate(s.origin))
	here.signIn("alice", s.password) // the one handshake
	here.value(attempt)
	// the limit is asked first
	if got := here.attempt("wss://"+s.host+socketPath, strings.Repeat("A", 43), "chat.v1"); got != "1013 later" {
		t.Errorf("%q, want 1013 later", got)
	}
}

// A request that no browser sends is answered in HTTP.
func TestTicketRoutes(t *testing.T) {
	s := startSite(t, generous)
	cookie, none := []string{s.cookie}, []string(nil)
	token := []string{"Bearer " + s.good(t)}
	_, body := s.post(t, "/ticket", http.Header{"Cookie": cookie, "Origin": {s.origin}})
	ticket := strings.Split(string(body), `"`)[3]
	cases := []struct {
		name, target string
		fields       http.Header
		status       int
		reason       string
	}{
		{
			name: "a ticket beside the cookie, which is not looked at", target: "/socket",
			fields: http.Header{"Cookie": cookie, "Sec-WebSocket-Protocol": {"chat.v1, ticket." + ticket}}, status: 101,
		},
		{name: "a token", target: "/socket", fields: http.Header{"Authorization": token, "Origin": none}, status: 101},
		{
			name: "a ticket and a token", target: "/socket",
			fields: http.Header{"Authorization": token, "Origin": none, "Sec-WebSocket-Protocol": {"chat.v1, ticket." + ticket}},
			status: 400, reason: "multiple_credentials",
		},
		{name: "nothing", target: "/socket", fields: http.Header{"Origin": none}, status: 401, reason: "no_credential"},
		{
			name: "a ticket of an origin, without it", target: "/socket",
			fields: http.Header{"Origin": none, "Sec-WebSocket-Protocol": {"chat.v1, ticket." + ticket}},
			status: 401, reason: "credential_invalid",
		},
		{
			name: "a foreign origin", target: "/socket", fields: http.Header{"Authorization": token, "Origin": {"https://evil.example"}},
			status: 403, reason: "origin_not_allowed",
		},
		{
			name: "the sealed route, unsealed", target: "/sealed",
			fields: http.Header{"Authorization": token, "Origin": none, "Sec-WebSocket-Protocol": {"chat.v1"}},
			status: 400, reason: "subprotocol",
		},
		{
			name: "a route without seals, sealed", target: "/socket",
			fields: http.Header{"Authorization": token, "Origin": none, "Sec-WebSocket-Protocol": {"hpke1.chat.v1"}},
			status: 400, reason: "subprotocol",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer, body := s.send(t, s.dial(t), c.target, c.fields)
			checkAnswer(t, answer, body, c.status, c.reason)
		})
	}
	for _, fields := range []http.Header{{"Cookie": cookie}, {"Cookie": cookie, "Origin": {"https://evil.example"}}} {
		if status, _ := s.post(t, "/ticket", fields); status != 403 {
			t.Errorf("a ticket for %v: %d, want 403", fields["Origin"], status)
		}
	}
}

// The requests of one address before authentication are limited, together for both ticket
// routes and separately from its handshakes. A page of another origin can read the refusal.
func TestTicketsAreLimited(t *testing.T) {
	const n, elsewhere = 4, "https://other.example"
	s := startSite(t, bounds{handshakesPerMinute: n, loginsPerMinute: n}, elsewhere)
	rubbish := http.Header{"Origin": {s.origin}, "Authorization": {"Bearer a.b.c"}}
	for _, route := range []string{"/ticket", "/ticket/sealed", "/ticket", "/ticket/sealed"} {
		if status, body := s.post(t, route, rubbish); status != 401 {
			t.Fatalf("%s: %d %s, want 401", route, status, body)
		}
	}
	ask := func(method string, fields http.Header) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.origin+"/ticket", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = fields
		answer, err := insecure().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer
	}
	preflight := ask(http.MethodOptions, http.Header{
		"Origin": {elsewhere}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
	})
	limited := ask(http.MethodPost, http.Header{"Origin": {elsewhere}, "Authorization": {"Bearer " + s.good(t)}})
	if preflight.StatusCode != 204 || limited.StatusCode != 429 || limited.Header.Get("Retry-After") == "" {
		t.Errorf("a preflight: %s; beyond the limit: %s %v", preflight.Status, limited.Status, limited.Header)
	}
	for _, answer := range []*http.Response{preflight, limited} {
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != elsewhere {
			t.Errorf("%d: Access-Control-Allow-Origin %q (Fetch §3.3.3)", answer.StatusCode, got)
		}
	}
	answer, body := s.send(t, s.dial(t), "/ws", http.Header{"Cookie": {s.cookie}})
	checkAnswer(t, answer, body, 101, "")
}

// A ticket presented in an invalid request is also consumed: on the other route, without a
// subprotocol of the route, or in the address bar.
func TestTicketAtTheWrongDoor(t *testing.T) {
	s := startSite(t, generous)
	for _, tt := range []struct {
		name, target string
		real         string // "": it stands in the query of no handshake
		status       int
		reason       string
	}{
		{name: "the sealed door, sealed", target: sealedPath, real: "hpke1.chat.v1", status: 101}, // and closed: a page can read why
		{name: "the sealed door, unsealed", target: sealedPath, real: "chat.v1", status: 400, reason: "subprotocol"},
		{name: "its own door, sealed", target: socketPath, real: "hpke1.chat.v1", status: 400, reason: "subprotocol"},
		{name: "the address bar", target: socketPath + "?ticket=", status: 426, reason: "upgrade_required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, body := s.post(t, "/ticket", http.Header{"Cookie": {s.cookie}, "Origin": {s.origin}})
			ticket := strings.Split(string(body), `"`)[3]
			target, fields := tt.target, http.Header{"Sec-WebSocket-Protocol": {tt.real + ", ticket." + ticket}}
			if tt.real == "" {
				target, fields = tt.target+ticket, http.Header{"Upgrade": nil, "Connection": nil, "Origin": nil}
			}
			answer, text := s.send(t, s.dial(t), target, fields)
			checkAnswer(t, answer, text, tt.status, tt.reason)

			c, _, err := websocket.Dial(t.Context(), "wss://"+s.host+socketPath, &websocket.DialOptions{
				HTTPClient: insecure(), HTTPHeader: http.Header{"Origin": {s.origin}},
				Subprotocols: []string{"chat.v1", "ticket." + ticket},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = c.Read(t.Context())
			var ended websocket.CloseError
			if !errors.As(err, &ended) || ended.Code != 3000 || ended.Reason != "reauth" {
				t.Errorf("the right use afterwards: %v, want 3000 reauth", err)
			}
		})
	}
}
