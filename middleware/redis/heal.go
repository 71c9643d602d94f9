package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
)

// heal stores again which of these ends the server has lost, and announces to all nodes that
// there were some.
func (r *reader) heal(ctx context.Context, client goredis.UniversalClient, ends []stored) error {
	values, err := valuesOf(ctx, client, ends)
	if err != nil {
		return err
	}
	var later map[string]id // the newest of the log
	restored := 0
	for i, s := range ends {
		if s.is(values[i]) {
			continue
		}
		if values[i] != nil && later == nil {
			if later, err = r.latest(ctx, client); err != nil {
				return err
			}
		}
		if values[i] != nil && s.first.less(later[s.key]) {
			continue
		}
		again, err := r.storeAgain(ctx, client, s, values[i])
		if err != nil {
			return err
		}
		if again {
			restored++
		}
	}
	if restored == 0 {
		return nil
	}
	r.cfg.Log.Warn("redis: ends that the server had lost are stored again", "ends", restored)
	return r.announce(ctx, middleware.Revocation{Resync: true})
}

// is reports whether the server has it still. A nil value is an absent one.
func (s *stored) is(present []byte) bool {
	return (present == nil) == (s.value == nil) && bytes.Equal(present, s.value)
}

// storeAgain returns false if another node was faster.
func (r *reader) storeAgain(ctx context.Context, client goredis.UniversalClient, s stored, present []byte) (bool, error) {
	left := time.Until(s.expires)
	if left <= 0 {
		return false, nil
	}
	var err error
	if s.value == nil {
		err = client.Del(ctx, s.key).Err() // handles are random: no other session has the key
	} else {
		var swapped bool
		if swapped, err = swap(ctx, client, s.key, present, s.value, left); err == nil && !swapped {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	_, err = r.append(ctx, s.fields()...)
	return true, err
}

func valuesOf(ctx context.Context, client goredis.UniversalClient, ends []stored) ([][]byte, error) {
	cmds := make([]*goredis.StringCmd, len(ends))
	_, err := client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, s := range ends {
			cmds[i] = p.Get(ctx, s.key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("redis: %w", err)
	}
	values := make([][]byte, len(ends))
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

// latest returns for each key in the log the id under which its newest end was recorded first.
func (r *reader) latest(ctx context.Context, client goredis.UniversalClient) (map[string]id, error) {
	newest := map[string]id{}
	for from := "-"; ; {
		entries, err := client.XRangeN(ctx, r.stream, from, "+", 2000).Result()
		if err != nil {
			return nil, fmt.Errorf("redis: the log: %w", err)
		}
		for _, e := range entries {
			from = "(" + e.ID
			at, err := parseID(e.ID)
			if err != nil || e.Values[fieldKey] == nil {
				continue
			}
			if s, err := parseStored(at, e.Values); err == nil && newest[s.key].less(s.first) {
				newest[s.key] = s.first
			}
		}
		if len(entries) == 0 {
			return newest, nil
		}
	}
}

// verify looks now and then whether the ends of the last minutes are still stored. A shard of a
// Cluster loses its keys alone, and a server that evicts says nothing.
func (r *reader) verify(ctx context.Context, client goredis.UniversalClient) error {
	now := time.Now()
	if now.Sub(r.verified) < verifyEvery {
		return nil
	}
	r.verified = now
	ends := r.remembered.since(now.Add(-verifyFor), now.Add(time.Minute)) // not those about to expire: the clocks of nodes differ
	if len(ends) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	values, err := valuesOf(ctx, client, ends)
	if err != nil {
		return err
	}
	var gone []stored
	for i, s := range ends {
		if s.value == nil && values[i] != nil || s.value != nil && values[i] == nil {
			gone = append(gone, s)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return r.heal(ctx, client, gone)
}

// warnOfEviction logs if the server may drop ends. Not every provider lets a client look.
func (r *reader) warnOfEviction(ctx context.Context, client goredis.UniversalClient) {
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return
	}
	_, policy, ok := strings.Cut(info, "maxmemory_policy:")
	if policy, _, _ = strings.Cut(policy, "\r\n"); ok && policy != "noeviction" {
		r.cfg.Log.Warn("redis: a full server may drop sign-outs: set maxmemory-policy noeviction", "maxmemory-policy", policy)
	}
}
