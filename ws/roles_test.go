package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/session"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// club is a site whose sockets are for members: /ws opens by the cookie, /socket by a ticket.
type club struct {
	*wstest.Server
	*session.Manager
	t *testing.T
}

func startClub(t *testing.T, of session.Config) *club {
	m := must(session.New(of))
	byCookie := auth(t, m)
	tickets := must(ticket.New(ticket.Config{Path: "/socket", Auth: byCookie, Origins: origins(t, wstest.URL)}))
	g := registry(t, live.Config{})
	cfg := ws.Config{
		Auth: byCookie, Live: g, Subprotocols: []string{"club"}, ExplainRefusals: true,
		Authorize: func(_ *http.Request, p middleware.Principal) (any, error) {
			if !slices.Contains(p.Roles, "member") {
				return nil, errors.New("not a member")
			}
			return nil, nil
		},
		Serve: func(_ context.Context, c *ws.Conn) error {
			if err := c.WriteJSON(c.Principal().Roles); err != nil {
				return err
			}
			return c.PushOnly()
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", handler(t, cfg))
	cfg.Auth = auth(t, tickets)
	mux.Handle("/socket", handler(t, cfg))
	mux.Handle("/ticket", tickets.Issue())
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), session.Identity{Subject: r.FormValue("u"), Roles: r.Form["r"]}); err != nil {
			t.Error(err)
		}
	})
	bound := func(fn http.HandlerFunc) http.Handler { return byCookie.Handler(g.Handler(fn)) }
	mux.Handle("/wait", bound(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	mux.Handle("/events", bound(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	return &club{wstest.NewServer(t, m.Handler(mux)), m, t}
}

// request is one of a page, with the cookie.
func (s *club) request(method, path, cookie string) *http.Response {
	r := must(http.NewRequestWithContext(s.t.Context(), method, wstest.URL+path, nil))
	r.Header.Set("Origin", wstest.URL)
	r.Header.Set("Cookie", cookie)
	return must(s.Client().Do(r))
}

func (s *club) signIn(query string) (cookie string) {
	cookie, _, _ = strings.Cut(s.request("POST", "/login?"+query, "").Header.Get("Set-Cookie"), ";")
	return cookie
}

// ticket fetches one, and returns its subprotocol.
func (s *club) ticket(cookie string) string {
	body := string(must(io.ReadAll(s.request("POST", "/ticket", cookie).Body)))
	_, rest, _ := strings.Cut(body, `"subprotocol":"`)
	name, _, ok := strings.Cut(rest, `"`)
	if !ok {
		s.t.Fatal(body)
	}
	return name
}

// open opens a socket and returns the roles that it was opened with; none if it was closed instead.
func (s *club) open(path, cookie, ticket string) (c *websocket.Conn, roles string) {
	s.t.Helper()
	opts := &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}}}
	if ticket != "" {
		opts.Subprotocols = []string{"club", ticket}
	} else {
		opts.HTTPHeader.Set("Cookie", cookie)
	}
	c, _, err := s.Dial(s.t.Context(), path, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, p, err := c.Read(s.t.Context()); err == nil {
		return c, string(p)
	} else if code := websocket.CloseStatus(err); code > 0 {
		return c, fmt.Sprint(code, " ", err.(interface{ Unwrap() error }).Unwrap())
	}
	s.t.Fatal("neither roles nor a close frame")
	return nil, ""
}

// ASVS 8.3.2, 7.4.2: a role change ends everything that was opened with the roles from before,
// by a word on which clients authenticate again, and Authorize decides anew.
func TestRoleChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startClub(t, session.Config{})
		alice, bob := s.signIn("u=alice&r=member&r=admin"), s.signIn("u=bob&r=member")
		byCookie, roles := s.open("/ws", alice, "")
		byTicket, too := s.open("/socket", "", s.ticket(alice))
		if roles != `["member","admin"]` || too != roles {
			t.Fatalf("opened with %s and %s", roles, too)
		}
		bobs, _ := s.open("/ws", bob, "")
		waiting := make(chan *http.Response, 1)
		go func() { waiting <- s.request("GET", "/wait", alice) }()
		events := s.request("GET", "/events", alice)
		early := s.ticket(alice)
		time.Sleep(10 * time.Second)

		if err := s.SetRoles(t.Context(), "alice", []string{"member"}); err != nil {
			t.Fatal(err)
		}
		wantEnding(t, byCookie, 3000, "reauth", 0, 0)
		wantEnding(t, byTicket, 3000, "reauth", 0, 0)
		if body := string(must(io.ReadAll(events.Body))); !strings.HasSuffix(body,
			"event: end\ndata: {\"code\":3000,\"reason\":\"reauth\"}\n\n") {
			t.Errorf("the event stream ends with %q", body)
		}
		res := <-waiting
		if body := string(must(io.ReadAll(res.Body))); res.StatusCode != 401 || !strings.Contains(body, `"credential_outdated"`) {
			t.Errorf("an unanswered request: %d %s", res.StatusCode, body)
		}
		if _, got := s.open("/socket", "", early); !strings.Contains(got, `"reauth"`) {
			t.Errorf("a ticket from before: %s, want reauth", got)
		}
		for what, open := range map[string]func() (*websocket.Conn, string){
			"the cookie":   func() (*websocket.Conn, string) { return s.open("/ws", alice, "") },
			"a new ticket": func() (*websocket.Conn, string) { return s.open("/socket", "", s.ticket(alice)) },
		} {
			if c, got := open(); got != `["member"]` {
				t.Errorf("%s afterwards: %s", what, got)
			} else {
				defer func() { wantEnding(t, c, 3000, "reauth", 0, 0) }()
			}
		}

		if err := s.SetRoles(t.Context(), "alice", nil); err != nil {
			t.Fatal(err)
		}
		for what, open := range map[string]func() (*websocket.Conn, string){
			"the cookie":   func() (*websocket.Conn, string) { return s.open("/ws", alice, "") },
			"a new ticket": func() (*websocket.Conn, string) { return s.open("/socket", "", s.ticket(alice)) },
		} {
			if _, got := open(); !strings.Contains(got, "3003") || !strings.Contains(got, `"forbidden"`) {
				t.Errorf("%s of one who is no member: %s, want 3003 forbidden", what, got)
			}
		}
		if err := s.End(t.Context(), "bob", must(s.Sessions(t.Context(), "bob"))[0].Handle); err != nil {
			t.Fatal(err)
		}
		wantEnding(t, bobs, 3000, "revoked", 0, 0) // until now it went on
	})
}

// The Go client comes back by itself, with a new ticket; it stops if its user may no longer be here.
func TestRoleChangeOfAReconnectingClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startClub(t, session.Config{})
		alice := s.signIn("u=alice&r=member&r=admin")
		header := http.Header{"Origin": {wstest.URL}, "Cookie": {alice}}
		tickets := must(redial.NewTicket(redial.TicketConfig{
			URL: wstest.URL + "/ticket", HTTPClient: s.Client(),
			Authorize: func(r *http.Request, _ bool) error { r.Header = header.Clone(); return nil },
		}))
		client := must(redial.New(redial.Config{
			URL: "wss://app.example/socket", Origin: wstest.URL,
			Subprotocols: []string{"club"}, Credential: tickets, HTTPClient: s.Client(),
		}))
		opened := make(chan string, 1)
		ended := make(chan error, 1)
		go func() {
			ended <- client.Run(t.Context(), func(_ context.Context, c *redial.Conn) error {
				for {
					_, p, err := c.Read()
					if err != nil {
						return err
					}
					opened <- string(p)
				}
			})
		}()
		for _, change := range []struct {
			roles []string
			want  string // of the connection before
		}{{[]string{"member"}, `["member","admin"]`}, {nil, `["member"]`}} {
			if got := <-opened; got != change.want {
				t.Errorf("opened with %s, want %s", got, change.want)
			}
			time.Sleep(time.Minute)
			if err := s.SetRoles(t.Context(), "alice", change.roles); err != nil {
				t.Fatal(err)
			}
		}
		var refused *redial.HandshakeError // it asks for the refusal itself
		if err := <-ended; !errors.As(err, &refused) || refused.Status != 403 || refused.Reason != "forbidden" {
			t.Errorf("ended with %v, want 403 forbidden", err)
		}
	})
}
