package redial_test

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
	"github.com/securews/securews/ws/wstest"
)

// passing answers in turn as the routers and proxies of a deployment in progress do.
func passing() http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers := []http.Handler{
			answering(404, "Content-Type", "text/plain"), answering(200, "Content-Type", "text/html"),
			answering(302, "Location", "https://login.example/"), answering(421), answering(503),
		}
		answers[n%len(answers)].ServeHTTP(w, r)
		n++
	})
}

func TestARouterThatAnswersForTenSeconds(t *testing.T) {
	for name, path := range map[string]string{"in front of the socket": "/ws", "in front of the ticket route": "/ws/ticket"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, router, began := handler(t, ws.Config{Subprotocols: []string{"chat"}}), passing(), time.Now()
				answered := 0
				s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == path && time.Since(began) < 10*time.Second:
						answered++
						router.ServeHTTP(w, r)
					case r.URL.Path == "/ws/ticket":
						w.Header().Set("Content-Type", "application/json")
						_, _ = w.Write([]byte(`{"ticket":"t"}`))
					default:
						r.Header.Set("Sec-WebSocket-Protocol", "chat") // as middleware/ticket does
						h.ServeHTTP(w, r)
					}
				}))
				tickets, err := redial.NewTicket(redial.TicketConfig{URL: route, HTTPClient: s.Client()})
				must(t, err)
				r := start(t, s, redial.Config{
					Subprotocols: []string{"chat"}, Credential: tickets, Backoff: redial.Backoff{Max: time.Second, Spread: time.Second},
				}, nil)
				time.Sleep(12 * time.Second)
				synctest.Wait()
				if len(r.phases(redial.Open)) != 1 || answered < 5 {
					t.Errorf("%v after %d answers of the router", r.states, answered)
				}
				r.stop()
			})
		})
	}
}

func TestRetryStatusesBringBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dials := counted(t, refusingWith(403, "forbidden"))
		r := start(t, s, redial.Config{RetryStatuses: []int{403}}, nil)
		time.Sleep(5 * time.Minute)
		r.stop()
		if n := dials.Load(); n < 5 {
			t.Errorf("%d dials", n)
		}
	})
}

// A credential of a few seconds is replaced again and again, whether or not its end is known.
func TestCredentialsThatLiveForSeconds(t *testing.T) {
	const life = 4 * time.Second
	for name, known := range map[string]bool{"with an expiry": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dials := counted(t, handler(t, ws.Config{Serve: lasting(life, ws.ErrExpired)}))
				r := start(t, s, redial.Config{Credential: func(context.Context, bool) (redial.Credential, error) {
					var c redial.Credential
					if known {
						c.Expires = time.Now().Add(life)
					}
					return c, nil
				}}, nil)
				time.Sleep(10 * time.Minute)
				if n := dials.Load(); n < 120 || n > 300 {
					t.Errorf("%d dials in ten minutes", n)
				}
				if w := len(r.phases(redial.Waiting)); known && w > 0 {
					t.Errorf("%d times without a connection", w)
				}
				r.stop()
			})
		})
	}
}

// ofHandshakes are the reasons with which no ticket route answers.
var ofHandshakes = []string{"bad_handshake", "upgrade_required", "websocket_version", "subprotocol"}

// Each reason of package middleware is known to both clients; to the page's client, which reads
// the answers of the ticket route only, each that such a route gives and that stops a client.
func TestReasonsAreKnown(t *testing.T) {
	source, err := os.ReadFile("../../middleware/reason.go")
	must(t, err)
	page, err := os.ReadFile("../browser/src/ticket.ts")
	must(t, err)
	words := regexp.MustCompile(`Reason = "([a-z_]+)" +// (\d+)`).FindAllStringSubmatch(string(source), -1)
	if len(words) < 28 {
		t.Fatalf("%d reasons found", len(words))
	}
	known := regexp.MustCompile(regexp.MustCompile(`known = /(.*)/;`).FindStringSubmatch(string(page))[1])
	for _, w := range words {
		synctest.Test(t, func(t *testing.T) {
			s := wstest.NewServer(t, refusingWith(400, w[1]))
			r := start(t, s, redial.Config{}, nil)
			time.Sleep(10 * time.Minute)
			if len(r.phases(redial.Closed)) != 1 {
				t.Errorf("redial does not know %s", w[1])
				r.cancel()
			}
			<-r.done
		})
		ofTickets := strings.HasPrefix(w[2], "4") && w[2] != "429" && !slices.Contains(ofHandshakes, w[1])
		if ofTickets && !known.MatchString(w[1]) {
			t.Errorf("ws/browser does not know %s", w[1])
		}
	}
	if known.MatchString("forbidden_city") {
		t.Error("ws/browser takes any word")
	}
}
