package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware/ticket"
)

type tickets struct{ s *Shared }

func (x tickets) key(key string) string { return x.s.cfg.Prefix + "ticket:" + key }

var errTicketStored = errors.New("redis: there is a ticket under this key")

// Put implements ticket.Store.
func (x tickets) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := x.s.client.Do(ctx, "SET", x.key(key), value, "NX", "PX", max(1, milliseconds(ttl))).Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, goredis.Nil):
		return errTicketStored
	case goredis.HasErrorPrefix(err, "OOM"): // the server is at maxmemory
		return fmt.Errorf("%w: %w", ticket.ErrFull, err)
	}
	return fmt.Errorf("redis: %w", err)
}

// Consume implements ticket.Store.
func (x tickets) Consume(ctx context.Context, key string) ([]byte, error) {
	b, err := x.s.client.GetDel(ctx, x.key(key)).Bytes()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, ticket.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("redis: %w", err)
	}
	return b, nil
}
