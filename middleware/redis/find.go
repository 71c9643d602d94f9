package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// findAgain is how long after an answer that contradicts an end the server is asked again.
const findAgain = 5 * time.Millisecond

// find returns the values of keys; nil for one that is absent. The ends that this node remembers hold
// also if the server no longer has them: it may have been restarted from a backup, and the reader may
// not have noticed yet. It waits while the server has an entry that is not the one this node remembers,
// since either may be the later one: that of the server, until the log has told of it, or that of this
// node, until it is stored again.
func (l *endLog) find(ctx context.Context, keys ...string) ([][]byte, error) {
	var contradicted error
	for {
		if err := l.await(ctx); err != nil {
			return nil, errors.Join(err, contradicted)
		}
		values, err := getMany(ctx, l.client, keys)
		if err != nil {
			return nil, errors.Join(err, contradicted)
		}
		if contradicted = l.remembered.correct(keys, values, time.Now()); contradicted == nil {
			return values, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("redis: %w: %w", ctx.Err(), contradicted)
		case <-time.After(findAgain):
		}
	}
}

var errContradicted = errors.New("redis: the server and the log have different ends under one key: " +
	"the later one is stored again within half a minute")

// correct puts the ends that are remembered in place of values that the server has lost, and fails if the
// server has an entry that is not the one that is remembered. The reader looks up either.
func (m *memories) correct(keys []string, values [][]byte, now time.Time) (err error) {
	for i, key := range keys {
		known, ok := m.get(key)
		switch present := values[i]; {
		case !ok, !known.expires.After(now), known.matches(present):
			continue
		case present == nil, known.value == nil:
			values[i] = known.value
		default:
			err = errContradicted
		}
		m.doubt(key, now)
	}
	return err
}

// getMany returns the values of keys, which may be on several servers; nil for one that is absent.
func getMany(ctx context.Context, client goredis.UniversalClient, keys []string) ([][]byte, error) {
	cmds := make([]*goredis.StringCmd, len(keys))
	_, err := client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, key := range keys {
			cmds[i] = p.Get(ctx, key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("redis: %w", err)
	}
	values := make([][]byte, len(keys))
	for i, cmd := range cmds {
		switch b, err := cmd.Bytes(); {
		case err == nil:
			values[i] = b
		case !errors.Is(err, goredis.Nil):
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	return values, nil
}
