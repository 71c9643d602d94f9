package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/ticket"
)

// Shared is the state that the nodes of a service share, made by [New]. It is safe for concurrent
// use. The zero value refuses: every call of it and of its parts fails, and connects to no server.
type Shared struct {
	cfg    Config
	client goredis.UniversalClient
	ends   *endLog
	store  *Sessions
}

// New returns a Shared, or all that is wrong with cfg. It neither connects nor starts a
// goroutine: the server may be down. Close it at the end.
func New(cfg Config) (*Shared, error) {
	cfg, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	client := newClient(cfg.Options)
	s := &Shared{cfg: cfg, client: client, ends: newEndLog(cfg, client)}
	s.store = &Sessions{s}
	return s, nil
}

// Close ends the connections to the server, and the reading of the log. It waits for at most a second
// for functions that follow announcements, which may call it. Nothing of the Shared works afterwards.
func (s *Shared) Close() error {
	if s == nil || s.client == nil {
		return nil
	}
	s.ends.close()
	return s.client.Close()
}

// Client returns the client of all commands but the reading of the log, for hooks and for commands of
// your own. [Shared.Close] closes it.
func (s *Shared) Client() goredis.UniversalClient { return s.made().client }

// Sessions returns the store for session.Config.Store and session.NewRevocations. All calls return
// the same one. The first call starts the goroutine that reads the log, until [Shared.Close].
func (s *Shared) Sessions() *Sessions {
	s = s.made()
	s.ends.start()
	return s.store
}

// Tickets returns the store for ticket.Config.Store. Keys are hashes of tickets, so that routes
// and hosts may share it.
func (s *Shared) Tickets() ticket.Store { return tickets{s.made()} }

// readyTimeout bounds [Shared.Ready].
const readyTimeout = time.Second

// Ready returns nil if the server answers and, once Sessions was called, announcements arrive. It is a
// check for live.Registry.Ready, and waits for at most a second.
func (s *Shared) Ready(ctx context.Context) error {
	s = s.made()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	switch err := s.client.Ping(ctx).Err(); {
	case err == nil:
		return s.ends.interruption()
	case goredis.IsAuthError(err), goredis.IsPermissionError(err):
		return fmt.Errorf("redis: the server refuses this node, see Options.Username and Options.Password: %w", err)
	default:
		return fmt.Errorf("redis: the server does not answer: %w", err)
	}
}

// LogState says whether entries of the log arrive at this node, for metrics.
type LogState struct {
	Interrupted bool          // they do not arrive; false before the first call of Sessions
	Lag         time.Duration // from writing to reading the last entry of this node; 0 before the first
}

// LogState returns the present state, at once.
func (s *Shared) LogState() LogState { return s.made().ends.logState() }
