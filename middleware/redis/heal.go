package redis

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
)

// heal stores again which of these ends the server has lost, and announces to all nodes that
// there were some.
func (r *reader) heal(ctx context.Context, client goredis.UniversalClient, ends []stored) error {
	for ends := range slices.Chunk(ends, healAtOnce) {
		if err := r.healSome(ctx, client, ends); err != nil {
			return err
		}
	}
	return r.announceHealed(ctx)
}

// healAtOnce is how many ends are stored again in one trip.
const healAtOnce = 512

func (r *reader) healSome(ctx context.Context, client goredis.UniversalClient, ends []stored) error {
	values, err := valuesOf(ctx, client, ends)
	if err != nil {
		return err
	}
	var inLog *newest
	var lost []loss
	for i, s := range ends {
		present := values[i]
		if s.is(present) || !s.expires.After(time.Now()) {
			continue
		}
		if present != nil {
			if inLog == nil {
				if inLog, err = r.latest(ctx, client); err != nil {
					return err
				}
			}
			if inLog.replaced(s) {
				continue
			}
		}
		lost = append(lost, loss{s, present})
	}
	return r.storeAgain(ctx, client, lost)
}

// loss is an end that the server has lost, and the bytes that it has instead; nil: none.
type loss struct {
	stored
	present []byte
}

// is reports whether the server has it still. A nil value is an absent one.
func (s *stored) is(present []byte) bool {
	return (present == nil) == (s.value == nil) && bytes.Equal(present, s.value)
}

// storeAgain stores them, except those whose bytes have changed since: another node was faster.
func (r *reader) storeAgain(ctx context.Context, client goredis.UniversalClient, lost []loss) error {
	if len(lost) == 0 {
		return nil
	}
	r.healed.owed = true // also if it fails half-way
	within, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	again := make([]*goredis.Cmd, len(lost))
	_, err := client.Pipelined(within, func(p goredis.Pipeliner) error {
		for i, x := range lost {
			if x.value == nil {
				again[i] = p.Do(within, "DEL", x.key) // handles are random: no other session has the key
				continue
			}
			again[i] = swapScript.Eval(within, p, []string{x.key}, swapArguments(x.present, x.value, time.Until(x.expires))...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	_, err = client.Pipelined(within, func(p goredis.Pipeliner) error {
		for i, x := range lost {
			if done, _ := again[i].Bool(); done {
				p.XAdd(within, r.entry(x.fields()...))
				r.healed.ends++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: the log: %w", err)
	}
	return nil
}

// healed is what a reader has stored again.
type healed struct {
	owed bool // it is to be announced
	ends int
}

// announceHealed has all nodes ask about everything: a credential that had ended was good meanwhile.
func (r *reader) announceHealed(ctx context.Context) error {
	if !r.healed.owed {
		return nil
	}
	if r.healed.ends > 0 {
		r.cfg.Log.Warn("redis: ends that the server had lost are stored again", "ends", r.healed.ends)
		r.healed.ends = 0
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := r.announce(ctx, middleware.Revocation{Resync: true}); err != nil {
		return err
	}
	r.healed.owed = false
	return nil
}

// valuesOf returns the bytes that the server has in place of the ends; nil: none.
func valuesOf(ctx context.Context, client goredis.UniversalClient, ends []stored) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	keys := make([]string, len(ends))
	for i, s := range ends {
		keys[i] = s.key
	}
	return getMany(ctx, client, keys)
}

// newest are the ends in the log.
type newest struct {
	of   map[string]id // under which the newest of a key was recorded first
	from id            // of the oldest entry
}

// replaced reports whether the bytes that the server has instead of s may be those of a later end. The
// log tells, unless it does not reach back to s.
func (n *newest) replaced(s stored) bool {
	return s.first.less(n.of[s.key]) || s.value != nil && s.first.less(n.from)
}

func (r *reader) latest(ctx context.Context, client goredis.UniversalClient) (*newest, error) {
	found := &newest{of: map[string]id{}}
	for from := "-"; ; {
		entries, err := r.page(ctx, client, from)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			from = "(" + e.ID
			at, err := parseID(e.ID)
			if err != nil {
				continue
			}
			if found.from == (id{}) {
				found.from = at
			}
			if s, err := parseStored(at, e.Values); err == nil && found.of[s.key].less(s.first) {
				found.of[s.key] = s.first
			}
		}
		if len(entries) == 0 {
			return found, nil
		}
	}
}

// page returns the next entries of the log.
func (r *reader) page(ctx context.Context, client goredis.UniversalClient, from string) ([]goredis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, err := client.XRangeN(ctx, r.stream, from, "+", 2000).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: the log: %w", err)
	}
	return entries, nil
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
	values, err := valuesOf(ctx, client, ends)
	if err != nil {
		return err
	}
	var gone []stored
	others := map[string]other{}
	for i, s := range ends {
		switch present := values[i]; {
		case s.is(present):
		case present == nil || s.value == nil:
			gone = append(gone, s)
		case r.sharded:
			others[s.key] = r.others[s.key].again(present)
			if others[s.key].rounds == otherRounds {
				gone = append(gone, s)
			}
		}
	}
	r.others = others
	return r.heal(ctx, client, gone)
}

// other are bytes that a shard has instead of an end. They are of an earlier one, if the shard has
// lost the end, or of a later one, whose entry in the log may be under way.
type other struct {
	present string
	rounds  int // of verify
}

func (x other) again(present []byte) other {
	if x.present != string(present) {
		x = other{present: string(present)}
	}
	x.rounds++
	return x
}

// otherRounds is longer than any write lasts.
const otherRounds = 4

// warnOfEviction logs if the server may drop ends. Not every provider lets a client look.
func (r *reader) warnOfEviction(ctx context.Context, client goredis.UniversalClient) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return
	}
	_, policy, ok := strings.Cut(info, "maxmemory_policy:")
	if policy, _, _ = strings.Cut(policy, "\r\n"); ok && policy != "noeviction" {
		r.cfg.Log.Warn("redis: a full server may drop sign-outs: set maxmemory-policy noeviction", "maxmemory-policy", policy)
	}
}
