package ticket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// page is a server with a ticket route and a socket that tickets open, and its log.
type page struct {
	*wstest.Server
	t           *testing.T
	revocations middleware.Revocations
	served      chan *ws.Conn

	mu   sync.Mutex
	logs bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.Write(b)
}

func (p *page) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

func open(t *testing.T, u user) *page {
	t.Helper()
	p := &page{t: t, revocations: middleware.NewRevocations(), served: make(chan *ws.Conn, 10)}
	log := slog.New(slog.NewTextHandler(p, nil))
	tickets := newTickets(t, ticket.Config{Auth: auth(t, middleware.WithRevocations(u, p.revocations))})
	route := auth(t, tickets)
	registry, err := live.New(live.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ws.New(ws.Config{
		Origins: origins(t, false), Auth: route, Live: registry, Log: log, Subprotocols: []string{"chat"},
		Serve: func(_ context.Context, c *ws.Conn) error {
			p.served <- c
			_, _, err := c.Read()
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /ticket", tickets.Issue())
	mux.Handle("GET /ws", socket)
	chain := middleware.Chain(mux, middleware.AccessLog(log), route.Strip, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			log.Info("foreign", "uri", r.RequestURI, "url", r.URL.String(), "header", r.Header)
			next.ServeHTTP(w, r)
		})
	})
	p.Server = wstest.NewServer(t, chain)
	return p
}

func (p *page) fetch(origin, name string) issued {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), "POST", wstest.URL+"/ticket", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("X-User", name)
	res, err := p.Client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var a issued
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil || res.StatusCode != 200 {
		p.t.Fatalf("%d, %v", res.StatusCode, err)
	}
	return a
}

func (p *page) dial(path string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	return p.Dial(p.t.Context(), path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {app}}, Subprotocols: protocols})
}

func (p *page) connect(path string, protocols ...string) (*websocket.Conn, *http.Response) {
	p.t.Helper()
	c, res, err := p.dial(path, protocols...)
	if err != nil {
		p.t.Fatal(err)
	}
	return c, res
}

func wantClosed(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	_, _, err := c.Read(context.Background())
	var ce websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != code || ce.Reason != reason {
		t.Errorf("ended with %v, want %d %q", err, code, reason)
	}
}

// A ticket opens one socket, whose id is the one that was answered; neither log nor the
// 101 has the ticket.
func TestTicketOpensASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, user{})
		for _, way := range []string{"subprotocol", "query"} {
			a := p.fetch(app, "ann")
			path, protocols := "/ws", []string{"chat", a.Subprotocol}
			if way == "query" {
				path, protocols = "/ws?ticket="+a.Ticket, []string{"chat"}
			}
			c, res := p.connect(path, protocols...)
			served := <-p.served
			if got := served.Principal(); got.Subject != "ann" || got.Method != "ticket" || served.ID() != a.CID ||
				served.Subprotocol() != "chat" {
				t.Errorf("%s: serves %+v, %s, %q", way, got, served.ID(), served.Subprotocol())
			}
			if res.Header.Get("Securews-Connection") != a.CID || res.Header.Get("Sec-WebSocket-Protocol") != "chat" {
				t.Errorf("%s: answered %v", way, res.Header)
			}
			if _, res, err := p.dial(path, protocols...); err == nil || res.StatusCode != 401 {
				t.Errorf("%s: the second time: %v", way, err)
			} else if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"reason":"credential_invalid"`) ||
				strings.Contains(string(body), a.Ticket) {
				t.Errorf("%s: the second time: %s", way, body)
			}
			_ = c.Close(1000, "")
			synctest.Wait()
			if log := p.logged(); strings.Contains(log, a.Ticket) || !strings.Contains(log, "/ws") {
				t.Errorf("%s: logged\n%s", way, log)
			}
		}
	})
}

// ASVS 7.4.1: logout closes a socket that a ticket of that session opened, and the ticket
// that was fetched before it opens none.
func TestLogoutClosesASocketOpenedByTicket(t *testing.T) {
	for name, v := range map[string]middleware.Revocation{
		"logout":              {SessionHandle: "s-ann"},
		"the token revoked":   {TokenHandle: "t-ann"},
		"sign-out everywhere": {Issuer: "https://id.example", Subject: "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, user{func(name string) middleware.Principal {
					u := ann(name)
					u.IssuedAt = time.Now()
					return u
				}})
				a, later, bob := p.fetch(app, "ann"), p.fetch(app, "ann"), p.fetch(app, "bob")
				c, _ := p.connect("/ws", "chat", a.Subprotocol)
				other, _ := p.connect("/ws", "chat", bob.Subprotocol)
				time.Sleep(time.Second)
				if err := p.revocations.Revoke(t.Context(), v); err != nil {
					t.Fatal(err)
				}
				wantClosed(t, c, 3000, "revoked")
				if _, res, err := p.dial("/ws", "chat", later.Subprotocol); err == nil || res.StatusCode != 401 {
					t.Errorf("a ticket from before: %v", err)
				}
				_ = other.Close(1000, "")
			})
		})
	}
}

// ASVS 7.3.2: the socket ends with the credential that the ticket was issued for.
func TestSocketEndsWithTheCredentialBehindTheTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, user{func(name string) middleware.Principal {
			u := ann(name)
			u.Expires = time.Now().Add(5 * time.Minute)
			return u
		}})
		a := p.fetch(app, "ann")
		if a.RefreshAfter != 240 {
			t.Errorf("refresh_after is %d", a.RefreshAfter)
		}
		c, _ := p.connect("/ws", "chat", a.Subprotocol)
		start := time.Now()
		wantClosed(t, c, 3000, "expired")
		if took := time.Since(start); took < 299*time.Second || took > 301*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// One 101 for a ticket, however many handshakes bring it at once.
func TestOneOfManyHandshakesIsUpgraded(t *testing.T) {
	const rounds, racers = 200, 5
	p := open(t, user{})
	for range rounds {
		a := p.fetch(app, "ann")
		var upgraded, refused atomic.Int64
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				c, res, err := p.dial("/ws", "chat", a.Subprotocol)
				switch {
				case err == nil:
					upgraded.Add(1)
					<-p.served
					_ = c.Close(1000, "")
				case res != nil && res.StatusCode == 401:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if upgraded.Load() != 1 || refused.Load() != racers-1 {
			t.Fatalf("%d upgraded, %d refused", upgraded.Load(), refused.Load())
		}
	}
}

// An origin that the socket does not serve is refused before anything else is said, and
// has used the ticket up, as has an offer without a real subprotocol.
func TestForeignOriginIsRefusedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, user{})
		a := p.fetch(app, "ann")
		_, res, err := p.Dial(t.Context(), "/ws", &websocket.DialOptions{
			HTTPHeader: http.Header{"Origin": {"https://evil.example"}}, Subprotocols: []string{"chat", a.Subprotocol},
		})
		if err == nil || res.StatusCode != 403 {
			t.Errorf("another site: %v", err)
		}
		if _, res, err := p.dial("/ws", "chat", a.Subprotocol); err == nil || res.StatusCode != 401 {
			t.Errorf("after another site's use: %v", err)
		}
		a = p.fetch(app, "ann")
		if _, res, err := p.dial("/ws", a.Subprotocol); err == nil || res.StatusCode != 400 {
			t.Errorf("without a real subprotocol: %v", err)
		}
		if _, res, err := p.dial("/ws", "chat", a.Subprotocol); err == nil || res.StatusCode != 401 {
			t.Errorf("after an invalid use: %v", err)
		}
	})
}
