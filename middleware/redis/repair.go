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

// repair stores the ends again that the server has lost. If there are any, it has all nodes ask about
// every connection.
func (r *reader) repair(ctx context.Context, client goredis.UniversalClient, ends []end) error {
	for ends := range slices.Chunk(ends, repairAtOnce) {
		if err := r.repairChunk(ctx, client, ends); err != nil {
			return err
		}
	}
	return r.announceRepair(ctx)
}

// repairAtOnce is how many ends are stored again in one round trip.
const repairAtOnce = 512

func (r *reader) repairChunk(ctx context.Context, client goredis.UniversalClient, ends []end) error {
	values, err := valuesOf(ctx, client, ends)
	if err != nil {
		return err
	}
	var appended *appendedEnds
	var lost []loss
	for i, s := range ends {
		present := values[i]
		if s.matches(present) || !s.expires.After(time.Now()) {
			continue
		}
		if present != nil {
			if appended == nil {
				if appended, err = r.readEnds(ctx, client); err != nil {
					return err
				}
			}
			if appended.replaced(s, r.began) {
				r.remembered.forget(s)
				continue
			}
		}
		lost = append(lost, loss{s, present})
	}
	return r.storeLost(ctx, client, lost)
}

// loss is an end that the server has lost, and the bytes that the server has instead; nil: none.
type loss struct {
	end
	present []byte
}

// matches reports whether present, the bytes that the server has, are those of the end. Nil is an absent
// key.
func (s *end) matches(present []byte) bool {
	return (present == nil) == (s.value == nil) && bytes.Equal(present, s.value)
}

// storeLost stores lost ends again, except those whose bytes have changed since: another node was faster.
func (r *reader) storeLost(ctx context.Context, client goredis.UniversalClient, lost []loss) error {
	if len(lost) == 0 {
		return nil
	}
	r.repaired.owed = true // also if it fails half-way
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
				r.repaired.ends++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: the log: %w", err)
	}
	return nil
}

// repaired is the work of a reader that is not announced yet.
type repaired struct {
	owed bool // an announcement is due
	ends int  // stored again
}

// announceRepair has all nodes ask about every connection: meanwhile, an ended credential may have been good.
func (r *reader) announceRepair(ctx context.Context) error {
	if !r.repaired.owed {
		return nil
	}
	if r.repaired.ends > 0 {
		r.cfg.Log.Warn("redis: ends that the server had lost are stored again", "ends", r.repaired.ends)
		r.repaired.ends = 0
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := r.announce(ctx, middleware.Revocation{Resync: true}); err != nil {
		return err
	}
	r.repaired.owed = false
	return nil
}

// valuesOf returns the bytes that the server has in place of the ends; nil: none.
func valuesOf(ctx context.Context, client goredis.UniversalClient, ends []end) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	keys := make([]string, len(ends))
	for i, s := range ends {
		keys[i] = s.key
	}
	return getMany(ctx, client, keys)
}

// appendedEnds are the ends in the log.
type appendedEnds struct {
	of   map[string]id // the first id of the newest end of each key
	from id            // of the oldest entry of the log
}

// replaced reports whether the bytes that the server has instead of s may be those of a later end: the
// log has one, or does not reach back to s.
func (x *appendedEnds) replaced(s end, began id) bool {
	return s.first.less(x.of[s.key]) || s.value != nil && s.first.less(x.from) && s.first.less(began)
}

// readEnds reads the whole log.
func (r *reader) readEnds(ctx context.Context, client goredis.UniversalClient) (*appendedEnds, error) {
	found := &appendedEnds{of: map[string]id{}}
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
			if s, err := parseEnd(at, e.Values); err == nil && found.of[s.key].less(s.first) {
				found.of[s.key] = s.first
			}
		}
		if len(entries) == 0 {
			return found, nil
		}
	}
}

// page returns the next entries of the log, from an id on; "(" before it leaves that one out.
func (r *reader) page(ctx context.Context, client goredis.UniversalClient, from string) ([]goredis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, err := client.XRangeN(ctx, r.stream, from, "+", 2000).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: the log: %w", err)
	}
	return entries, nil
}

// verify checks every verifyEvery that the ends of the last verifyFor are still stored. A shard of a
// Cluster loses its keys alone, and a server that evicts does not report it.
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
	var gone []end
	mismatches := map[string]mismatch{}
	for i, s := range ends {
		switch present := values[i]; {
		case s.matches(present):
		case present == nil || s.value == nil:
			gone = append(gone, s)
		default:
			mismatches[s.key] = r.mismatches[s.key].seen(present)
			if mismatches[s.key].rounds >= mismatchRounds {
				gone = append(gone, s)
			}
		}
	}
	r.mismatches = mismatches
	return r.repair(ctx, client, gone)
}

// mismatch has the bytes that a shard has instead of an end. They are those of an earlier end, if the
// shard has lost the later one, or of a still later one, whose entry in the log may be under way.
type mismatch struct {
	present string
	rounds  int // of verify that have found them
}

// seen counts a round of verify that has found the bytes.
func (x mismatch) seen(present []byte) mismatch {
	if x.present != string(present) {
		x = mismatch{present: string(present)}
	}
	x.rounds++
	return x
}

// mismatchRounds is after how many rounds the bytes are those of an earlier end: that is longer than
// any write lasts.
const mismatchRounds = 4

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
