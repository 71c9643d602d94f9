package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/ticket"
)

// Shared is the state that the nodes of a service share. It is safe for concurrent use.
type Shared struct {
	cfg    Config
	client goredis.UniversalClient
	log    *endLog
	store  *Sessions
}

// New returns a Shared, or all that is wrong with cfg. It neither connects nor starts a
// goroutine: the server may be down. Close it at the end.
func New(cfg Config) (*Shared, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	client := goredis.NewUniversalClient(cfg.Options)
	s := &Shared{cfg: cfg, client: client, log: newEndLog(cfg, client)}
	s.store = &Sessions{s}
	return s, nil
}

// Close ends the connections to the server, and the reading of the log. Nothing of the Shared works
// afterwards.
func (s *Shared) Close() error {
	s.log.close()
	return s.client.Close()
}

// Client returns the client that commands go through, for hooks and for commands of your own. Close
// closes it.
func (s *Shared) Client() goredis.UniversalClient { return s.client }

// Sessions returns the store for session.Config.Store and session.NewRevocations. All calls return
// the same one. From the first on this node reads the log.
func (s *Shared) Sessions() *Sessions {
	s.log.start()
	return s.store
}

// Tickets returns the store for ticket.Config.Store. Keys are hashes of tickets, so that routes
// and hosts may share it.
func (s *Shared) Tickets() ticket.Store { return tickets{s} }

// readyTimeout bounds [Shared.Ready].
const readyTimeout = time.Second

// Ready returns nil if the server answers and this node hears of announcements, for
// live.Registry.Ready. It waits for at most a second.
func (s *Shared) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: the server does not answer: %w", err)
	}
	return s.log.hears()
}

// Hearing reports how this node hears of announcements, for metrics.
type Hearing struct {
	Deaf bool          // entries of the log do not arrive; false if nothing follows it
	Lag  time.Duration // of the last entry that this node wrote and read
}

// Hearing returns the present state.
func (s *Shared) Hearing() Hearing { return s.log.hearing() }
