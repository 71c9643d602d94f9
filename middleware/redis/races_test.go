package redis_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/middleware/ticket"
)

// ASVS 10.4.6: of racers on two nodes one gets the ticket, in each round.
func TestTicketHasOneWinner(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, x *installation) {
		stores := []ticket.Store{node(t, x.addrs...).Tickets(), node(t, x.addrs...).Tickets()}
		for round := range 1000 {
			key := fmt.Sprint("ticket", round)
			if err := stores[round%2].Put(t.Context(), key, []byte("principal"), 30*time.Second); err != nil {
				t.Fatal(err)
			}
			var winners, losers atomic.Int32
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					switch b, err := stores[i%2].Consume(t.Context(), key); {
					case err == nil && string(b) == "principal":
						winners.Add(1)
					case errors.Is(err, ticket.ErrNotFound):
						losers.Add(1)
					default:
						t.Errorf("%q %v", b, err)
					}
				})
			}
			all.Wait()
			if winners.Load() != 1 || losers.Load() != 7 {
				t.Fatalf("round %d: %d winners, %d losers", round, winners.Load(), losers.Load())
			}
		}
	})
}

// A ticket of one node opens a socket of the other, once.
func TestTicketOfTheOtherNode(t *testing.T) {
	t.Parallel()
	k := testissuer.New(t)
	set := settings{Addrs: []string{commonServer(t).Addr}, Keys: k.KeySet()}
	a := startNode(t, set)
	set.Allow = []string{a.Origin}
	b := startNode(t, set)
	r := bearerOf(k, "ann")
	answer, body := a.do(http.MethodPost, "/ticket", r)
	subprotocol := between(string(body), `"subprotocol":"`, `"`)
	if answer.StatusCode != http.StatusOK || subprotocol == "" {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	// The ticket is for the origin that fetched it.
	dial := func(p *process) int {
		socket, answer := p.dialFrom(a.Origin, "/ticket-ws", credential{}, "test", subprotocol)
		if socket != nil {
			t.Cleanup(func() { _ = socket.CloseNow() })
		}
		return answer.StatusCode
	}
	if got := dial(b); got != http.StatusSwitchingProtocols {
		t.Errorf("the first time: %d", got)
	}
	for _, p := range []*process{a, b} {
		if got := dial(p); got != http.StatusUnauthorized && got != http.StatusForbidden {
			t.Errorf("again: %d", got)
		}
	}
}

// A thief renews a session on one node while its user signs out everywhere on another.
func TestSignOutsAgainstRenewals(t *testing.T) {
	t.Parallel()
	rounds := 200
	if os.Getenv("SECUREWS_ALL") == "1" {
		rounds = 2000
	}
	onEach(t, func(t *testing.T, x *installation) {
		storetest.SignOuts(t, rounds, func(t testing.TB) scs.Store { return node(t, x.addrs...).Sessions() })
	})
}

// BenchmarkLogoutToCloseFrame prints how long after the request of a logout on one process the
// close frame of a connection of another arrives.
func BenchmarkLogoutToCloseFrame(b *testing.B) {
	set := settings{Addrs: []string{commonServer(b).Addr}, Keys: testissuer.New(b).KeySet()}
	one, other := startNode(b, set), startNode(b, set)
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		c := one.login("ann")
		socket := other.open(c)
		b.StartTimer()
		began := time.Now()
		done := make(chan time.Duration, 1)
		go func() {
			if got := ended(socket); got != "3000 revoked" {
				b.Error(got)
			}
			done <- time.Since(began)
		}()
		one.act("/logout", c)
		took = append(took, <-done)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
