package ticket_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/ticket"
)

// everything is all that a handler can print of a request.
func everything(r *http.Request) string {
	dump, _ := httputil.DumpRequest(r, false)
	clone := r.Clone(r.Context())
	_ = clone.ParseForm()
	return fmt.Sprintf("%s\n%v\n%+v\n%#v\n%s\n%v\n%v\n%v", dump, r, r, r, r.URL, r.Context(), clone.Form, r.Form)
}

// ASVS 14.2.1, 16.2.5: nothing that reaches a log or the next handler holds the ticket.
func TestNothingSeesTheTicket(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		target string
		offer  []string
		edit   func(*http.Request)
		status int
	}{
		{name: "accepted as a subprotocol", target: "/ws?room=7", offer: []string{"chat, ticket.TICKET"}, status: 200},
		{name: "accepted in the query", target: "/ws?room=7&ticket=TICKET", offer: []string{"chat"}, status: 200},
		{
			name:   "accepted in the query, absolute form (RFC 9112 §3.2.2)",
			target: "https://app.example/ws?ticket=TICKET&room=7", status: 200,
		},
		{
			name: "in a form that was parsed further out", target: "/ws?ticket=TICKET&room=7",
			edit: func(r *http.Request) { _ = r.ParseForm() }, status: 200,
		},
		{name: "both ways", target: "/ws?ticket=TICKET", offer: []string{"ticket.TICKET", "chat"}, status: 400},
		{name: "cut short", target: "/ws?ticket=TICKET.", offer: []string{"chat"}, status: 400},
		{name: "in capitals", target: "/ws", offer: []string{"chat, Ticket.TICKET"}, status: 400},
		{name: "behind a no-break space", target: "/ws", offer: []string{"chat,\u00a0ticket.TICKET"}, status: 200},
		{
			name: "its Upgrade lost on the way", target: "/ws?ticket=TICKET",
			edit: func(r *http.Request) { delete(r.Header, "Upgrade") }, status: 400,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tickets := newTickets(t, ticket.Config{})
			route := auth(t, tickets)
			secret := fetch(t, tickets, app, "ann").Ticket
			var logged bytes.Buffer
			foreign := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					logged.WriteString(everything(r))
					next.ServeHTTP(w, r)
					logged.WriteString(everything(r))
				})
			}
			reached := 0
			next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached++
				if seen := everything(r); strings.Contains(seen, secret) {
					t.Errorf("the next handler sees the ticket:\n%s", seen)
				}
			})
			r := handshake(strings.ReplaceAll(tt.target, "TICKET", secret), app)
			for _, line := range tt.offer {
				r.Header["Sec-Websocket-Protocol"] = append(r.Header["Sec-Websocket-Protocol"], strings.ReplaceAll(line, "TICKET", secret))
			}
			if tt.edit != nil {
				tt.edit(r)
			}
			before := everything(r)
			access := slog.New(slog.NewTextHandler(&logged, nil))
			w := httptest.NewRecorder()
			middleware.Chain(next, middleware.AccessLog(access), route.Strip, foreign, route.Handler).ServeHTTP(w, r)
			if w.Code != tt.status || (reached == 1) != (tt.status == 200) {
				t.Errorf("answered %d, reached %d times", w.Code, reached)
			}
			if strings.Contains(logged.String(), secret) {
				t.Errorf("a log has the ticket:\n%s", &logged)
			}
			if strings.Contains(w.Body.String()+fmt.Sprint(w.Header()), secret) {
				t.Errorf("the answer has the ticket: %s", w.Body)
			}
			if everything(r) != before {
				t.Error("the request further out was changed")
			}
		})
	}
}

// Strip may stand outside an http.StripPrefix; a ticket stripped there is accepted inside, and
// consumed inside by a request that is not a handshake.
func TestStripOutsideStripPrefix(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, upgrade, want string
	}{
		{"a handshake", "websocket", "200 "},
		{"no handshake", "", "400 credential_malformed"},
	} {
		tickets := newTickets(t, ticket.Config{})
		a, route := fetch(t, tickets, app, "ann"), auth(t, tickets)
		mux := http.NewServeMux()
		mux.Handle("/app/", http.StripPrefix("/app", route.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
		r := handshake("/app/ws?ticket="+a.Ticket, app)
		r.Header.Set("Upgrade", tt.upgrade)
		_, got := serve(route.Strip(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if seen := everything(r); strings.Contains(seen, a.Ticket) {
				t.Errorf("%s: inside Strip there is the ticket:\n%s", tt.name, seen)
			}
			mux.ServeHTTP(w, r)
		})), r)
		if got != tt.want {
			t.Errorf("%s: answered %s, want %s", tt.name, got, tt.want)
		}
		if _, err := tickets.Authenticate(offering("chat, " + a.Subprotocol)); outcome(err) != invalid {
			t.Errorf("%s: a valid use afterwards: %s", tt.name, outcome(err))
		}
	}
}

// Without Strip in an outer layer, Auth.Handler passes on a request without the ticket.
func TestAuthStrips(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{})
	a := fetch(t, tickets, app, "ann")
	h := auth(t, tickets).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %q", r.RequestURI, r.Header["Sec-Websocket-Protocol"])
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, handshake("/ws?a=%20b&c", app, "Sec-WebSocket-Protocol", "v2.chat , ticket."+a.Ticket+",chat"))
	if got := w.Body.String(); got != `/ws?a=%20b&c ["v2.chat, chat"]` {
		t.Errorf("the next handler sees %s", got)
	}
}

// A request without a ticket is passed on unchanged, the same value.
func TestStrippedLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	tickets := newTickets(t, ticket.Config{})
	for _, r := range []*http.Request{
		offering("chat, tickets"), handshake("/ws?tickets=1&%zz=2&;ticket=3", app), httptest.NewRequest("GET", "/login?ticket=ST-1", nil),
		httptest.NewRequest("POST", "/", nil), handshake("/ws", app),
	} {
		if tickets.Stripped(r) != r || auth(t, tickets).Stripped(r) != r {
			t.Errorf("%s %q was changed", r.URL, r.Header["Sec-Websocket-Protocol"])
		}
	}
}

// Stripped leaves no ticket in any request, and only one ticket in one place is accepted.
func FuzzAuthenticate(f *testing.F) {
	const known = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tt := range redemptions {
		_, query, _ := strings.Cut(tt.target, "?")
		f.Add(strings.ReplaceAll(query, "TICKET", known), strings.ReplaceAll(strings.Join(tt.protocol, "\n"), "TICKET", known))
	}
	tickets := newTickets(f, ticket.Config{Store: broken{value: []byte(
		`{"v":1,"path":"/ws","origin":"https://app.example","cid":"c","exp":"2126-01-01T00:00:00Z",` +
			`"principal":{"iss":"i","sub":"s","method":"session"}}`,
	)}})
	f.Fuzz(func(t *testing.T, query, lines string) {
		r := handshake("/ws", app)
		r.URL.RawQuery, r.RequestURI = query, "/ws?"+query
		if lines != "" {
			r.Header["Sec-Websocket-Protocol"] = strings.Split(lines, "\n")
		}
		bare := tickets.Stripped(r)
		offered := strings.Join(bare.Header["Sec-Websocket-Protocol"], ",")
		for element := range strings.SplitSeq(offered, ",") {
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(element)), "ticket.") {
				t.Errorf("left in the header: %q", offered)
			}
		}
		if bare.URL.Query().Has("ticket") && !strings.Contains(query, ";") {
			t.Errorf("left in the query: %q", bare.URL.RawQuery)
		}
		if tickets.Stripped(bare) != bare {
			t.Errorf("there is more to strip in %q and %q", bare.URL.RawQuery, offered)
		}
		_, whole := tickets.Authenticate(r)
		_, stripped := tickets.Authenticate(bare)
		if outcome(whole) != outcome(stripped) {
			t.Errorf("%s, but stripped %s", outcome(whole), outcome(stripped))
		}
		if whole == nil && strings.Count(lines, "ticket.")+strings.Count(strings.ToLower(query), "icket=") < 1 {
			t.Errorf("accepted nothing: %q %q", query, lines)
		}
	})
}
