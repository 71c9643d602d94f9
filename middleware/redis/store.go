package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// put stores an end, and appends it to the log.
func (l *endLog) put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s := end{key: key, value: value, expires: time.Now().Add(ttl)}
	return l.storeAndAppend(ctx, s, "SET", key, value, "PX", milliseconds(ttl))
}

// deletedFor is how long the deletion of a session is remembered: longer than any session lasts.
const deletedFor = 31 * 24 * time.Hour

// remove deletes the record of a session, and appends that to the log: a backup may have it.
func (l *endLog) remove(ctx context.Context, key string) error {
	return l.storeAndAppend(ctx, end{key: key, expires: time.Now().Add(deletedFor)}, "DEL", key)
}

// undelete stores a record of something else than package session under a key that was deleted, and appends an
// end of the key that has expired already, so that the nodes no longer hold it for deleted.
func (l *endLog) undelete(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	return l.storeAndAppend(ctx, end{key: key, expires: time.Unix(0, 0)}, "SET", key, b, "PX", milliseconds(ttl))
}

// storeAndAppend has the command store an end, and appends it to the log. No end is stored without its
// entry: a caller that tries again would find it stored, and never append it.
func (l *endLog) storeAndAppend(ctx context.Context, s end, command ...any) error {
	if l.sharded {
		if err := l.appendEnd(ctx, &s); err != nil {
			return err
		}
		if err := l.client.Do(ctx, command...).Err(); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
		return l.yield(ctx, s)
	}
	newest := l.remembered.newest()
	var appended *goredis.StringCmd
	_, err := l.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Do(ctx, command...)
		appended = p.XAdd(ctx, l.entry(s.fields()...))
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return l.remember(appended.Val(), &s, newest)
}

// yield stores the later ends of a Cluster again that the SET of s may have replaced: they were appended
// after s, and stored before. The last of such calls sees the entries of all.
func (l *endLog) yield(ctx context.Context, s end) error {
	for from := s.first; ; {
		entries, err := l.client.XRangeN(ctx, l.stream, "("+from.String(), "+", readCount).Result()
		if err != nil {
			return fmt.Errorf("redis: the log: %w", err)
		}
		if len(entries) == 0 {
			return nil
		}
		for _, e := range entries {
			if from, err = parseID(e.ID); err != nil {
				return err
			}
			later, err := parseEnd(from, e.Values)
			if err != nil || later.key != s.key || later.value == nil || !s.first.less(later.first) {
				continue
			}
			arguments := swapArguments(s.value, later.value, time.Until(later.expires))
			if err := swapScript.Run(ctx, l.client, []string{s.key}, arguments...).Err(); err != nil {
				return fmt.Errorf("redis: %w", err)
			}
			s = later
		}
	}
}

// swapAndAppend runs swapScript for an end, and appends it: on a single server in one step. On a Cluster
// it is appended afterwards, since the log must not have an end that another has kept out: a caller that
// tries again writes an end anew that it finds stored.
func (l *endLog) swapAndAppend(ctx context.Context, s end, arguments []any) (bool, error) {
	newest := l.remembered.newest()
	if known, ok := l.remembered.holds(s.key, time.Now()); ok && known.value != nil && known.matches(arguments[1].([]byte)) {
		arguments[0] = "remembered" // find returns it, although the server may have lost it
	}
	keys := []string{s.key}
	if !l.sharded {
		keys, arguments = append(keys, l.stream), append(arguments, logLength)
		for _, field := range s.fields() {
			arguments = append(arguments, field)
		}
	}
	result, err := swapScript.Run(ctx, l.client, keys, arguments...).Result()
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	switch at := result.(type) {
	case string:
		return true, l.remember(at, &s, newest)
	case int64:
		if at == 1 {
			return true, l.appendStored(ctx, s)
		}
	}
	return false, nil
}

// appendStored appends an end of a Cluster that was stored, and then those that have replaced it meanwhile,
// until the newest of the log is the one that is stored.
func (l *endLog) appendStored(ctx context.Context, s end) error {
	for {
		if err := l.appendEnd(ctx, &s); err != nil {
			return err
		}
		var value *goredis.StringCmd
		var left *goredis.DurationCmd
		_, err := l.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			value, left = p.Get(ctx, s.key), p.PTTL(ctx, s.key)
			return nil
		})
		switch {
		case errors.Is(err, goredis.Nil):
			return nil
		case err != nil:
			return fmt.Errorf("redis: %w", err)
		case s.matches([]byte(value.Val())):
			return nil
		}
		s = end{key: s.key, value: []byte(value.Val()), expires: time.Now().Add(left.Val())}
	}
}

// appendEnd appends an end to the log, and remembers it.
func (l *endLog) appendEnd(ctx context.Context, s *end) error {
	newest := l.remembered.newest()
	at, err := l.append(ctx, s.fields()...)
	if err != nil {
		return err
	}
	return l.remember(at, s, newest)
}

var errEarlier = errors.New("redis: the log has begun anew, and the clock of the server was set back: " +
	"the end may not last: try again when the nodes have noticed, within seconds")

// remember has this node remember an end that it has appended; newest is the newest end before that. The
// nodes would take an end with an earlier id for one that another has replaced.
func (l *endLog) remember(at string, s *end, newest id) (err error) {
	if s.first, err = parseID(at); err != nil {
		return err
	}
	if s.first.less(newest) {
		return errEarlier
	}
	l.remembered.add(*s, time.Now())
	l.advance(s.first)
	return nil
}
