package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	findAgain       = 5 * time.Millisecond // before the server is asked again whose answer contradicts an end
	contradictedFor = 2 * time.Second      // how long reads wait for the two to agree; a write of a busy Cluster may last as long
)

// find returns the values of keys; nil for one that is absent. The ends that this node remembers hold
// also if the server no longer has them: it may have been restarted from a backup, and the reader may
// not have noticed yet. If the server has another value, either may be the later one: that of the server,
// until the log has told of it, which takes milliseconds, or that of this node, until it is stored again.
// So find waits, but fails once that has lasted for contradictedFor.
func (l *endLog) find(ctx context.Context, keys ...string) ([][]byte, error) {
	var contradicted error
	for {
		values, again, err := l.look(ctx, keys)
		switch {
		case err != nil:
			return nil, errors.Join(err, contradicted)
		case again == nil:
			return values, nil
		case again == errLasting:
			return nil, again
		}
		contradicted = again
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("redis: %w: %w", ctx.Err(), contradicted)
		case <-time.After(findAgain):
		}
	}
}

// findAll is find for a list, which has either value of a contradicted end: that is not of a session.
func (l *endLog) findAll(ctx context.Context, keys []string) ([][]byte, error) {
	values, _, err := l.look(ctx, keys)
	return values, err
}

// look asks the server once. The error contradicted is that of correct, and err that of the server.
func (l *endLog) look(ctx context.Context, keys []string) (values [][]byte, contradicted, err error) {
	if err := l.await(ctx); err != nil {
		return nil, nil, err
	}
	if values, err = getMany(ctx, l.client, keys); err != nil {
		return nil, nil, err
	}
	return values, l.remembered.correct(keys, values, time.Now()), nil
}

var (
	errContradicted = errors.New("redis: the server and the log have different ends under one key: the later one is to be stored again")
	errLasting      = fmt.Errorf("%w, and has not been for %v", errContradicted, contradictedFor)
)

// correct puts the ends that are remembered in place of values that the server has lost, and fails if the
// server has another value than the one that is remembered. The reader looks up either.
func (m *memories) correct(keys []string, values [][]byte, now time.Time) (err error) {
	for i, key := range keys {
		known, in := m.get(key)
		switch present := values[i]; {
		case in == nil, !known.expires.After(now):
		case known.matches(present):
			if !known.since.IsZero() {
				in.contradicted(key, time.Time{})
			}
		case present == nil, known.value == nil:
			values[i] = bytes.Clone(known.value)
			in.doubt(key, now)
		default:
			in.doubt(key, now)
			if known.since.IsZero() {
				in.contradicted(key, now)
				known.since = now
			}
			if now.Sub(known.since) > contradictedFor {
				err = errLasting
			} else if err == nil {
				err = errContradicted
			}
		}
	}
	return err
}

// getMany returns the values of keys, which may be on several servers; nil for one that is absent.
func getMany(ctx context.Context, client goredis.UniversalClient, keys []string) ([][]byte, error) {
	if len(keys) == 1 {
		b, err := client.Get(ctx, keys[0]).Bytes()
		switch {
		case errors.Is(err, goredis.Nil):
			return [][]byte{nil}, nil
		case err != nil:
			return nil, fmt.Errorf("redis: %w", err)
		}
		return [][]byte{b}, nil
	}
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
