package bearer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/bearer"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/ticket"
	"github.com/securews/securews/ws/wstest"
)

// seenStore keeps every record, for tests that look into it.
type seenStore struct {
	ticket.Store
	seen bytes.Buffer
}

func (s *seenStore) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.seen.Write(value)
	return s.Store.Put(ctx, key, value, ttl)
}

// ticketNode is one node of a service: tickets for opaque tokens, in a store that all nodes share.
func ticketNode(t *testing.T, store ticket.Store, cfg bearer.IntrospectionConfig) (tickets *ticket.Tickets, server *wstest.Server) {
	t.Helper()
	auth, err := middleware.NewAuth(newIntrospector(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})
	if err != nil {
		t.Fatal(err)
	}
	tickets, err = ticket.New(ticket.Config{Auth: auth, Path: "/ws", Origins: origins, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return tickets, socketServer(t, live.Timeouts{Recheck: time.Minute}, tickets)
}

// ticketOf trades the token for a ticket.
func ticketOf(t *testing.T, tickets *ticket.Tickets, token string) string {
	t.Helper()
	r := httptest.NewRequest("POST", wstest.URL+"/ticket", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Origin", wstest.URL)
	w := httptest.NewRecorder()
	tickets.Issue().ServeHTTP(w, r)
	var answer struct{ Ticket string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
		t.Fatalf("no ticket: %d %s", w.Code, w.Body)
	}
	return answer.Ticket
}

// The ticket of an opaque token is good on the node that has issued it, and on others with the
// same Key; elsewhere it is expired, and the client fetches another. The store has the token encrypted.
// The socket ends at the recheck after the token's revocation, on whichever node it is.
func TestTicketsOfOpaqueTokens(t *testing.T) {
	one, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, tt := range []struct {
		name        string
		here, there []byte // the Keys
		same        bool   // presented on the node that has issued it
		opened      bool
	}{
		{name: "the same node, no Key", same: true, opened: true},
		{name: "another node, no Key", opened: false},
		{name: "another node, the same Key", here: one, there: one, opened: true},
		{name: "another node, another Key", here: one, there: other, opened: false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newTokenIssuer()
				i.issues(opaque, members())
				memory, err := ticket.NewMemoryStore(16)
				if err != nil {
					t.Fatal(err)
				}
				store := &seenStore{Store: memory}
				cfg := introspection(i)
				cfg.Key = tt.here
				tickets, node := ticketNode(t, store, cfg)
				if !tt.same {
					cfg.Key = tt.there
					_, node = ticketNode(t, store, cfg)
				}
				presented := ticketOf(t, tickets, opaque)
				mustNotContain(t, "the store", store.seen.String(), opaque)
				c, res, err := node.Dial(t.Context(), "/ws?ticket="+presented,
					&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {wstest.URL}}})
				if !tt.opened {
					if res == nil || res.StatusCode != 401 {
						t.Fatalf("%v, %v", res, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { _, _, err := c.Read(context.Background()); ended <- err }()
				time.Sleep(10 * time.Minute)
				i.revokes(opaque)
				began := time.Now()
				var end websocket.CloseError
				if err := <-ended; !errors.As(err, &end) || end.Code != 3000 || end.Reason != "revoked" {
					t.Errorf("ended with %v, want 3000 revoked", err)
				}
				if took := time.Since(began); took > time.Minute+time.Second {
					t.Errorf("ended after %v", took)
				}
			})
		})
	}
}

// A ticket that was sealed elsewhere is refused with a cause that names the setting.
func TestTheCauseNamesTheKey(t *testing.T) {
	t.Parallel()
	i := newTokenIssuer()
	i.issues(opaque, members())
	here, there := newIntrospector(t, introspection(i)), newIntrospector(t, introspection(i))
	p, err := here.Authenticate(request(opaque))
	if err != nil {
		t.Fatal(err)
	}
	err = there.Alive(t.Context(), p)
	if outcome(err) != expired || !strings.Contains(err.Error(), "sealed with the key of another node") ||
		!strings.Contains(err.Error(), "IntrospectionConfig.Key") {
		t.Errorf("%s: %v", outcome(err), err)
	}
}

// A bound event stream ends as a socket does.
func TestAStreamEndsWithItsOpaqueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTokenIssuer()
		i.issues(opaque, members())
		auth, err := middleware.NewAuth(newIntrospector(t, introspection(i)))
		if err != nil {
			t.Fatal(err)
		}
		registry, err := live.New(live.Config{Timeouts: live.Timeouts{Recheck: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		s := wstest.NewServer(t, auth.Handler(registry.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("data: hello\n\n"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))))
		r, _ := http.NewRequestWithContext(t.Context(), "GET", wstest.URL, nil)
		r.Header.Set("Authorization", "Bearer "+opaque)
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		if !lines.Scan() || lines.Text() != "data: hello" {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
		time.Sleep(10 * time.Minute)
		i.revokes(opaque)
		began := time.Now()
		var rest []string
		for lines.Scan() {
			if lines.Text() != "" {
				rest = append(rest, lines.Text())
			}
		}
		if got := strings.Join(rest, "\n"); got != "event: end\ndata: {\"code\":3000,\"reason\":\"revoked\"}" ||
			time.Since(began) > time.Minute+time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
}
