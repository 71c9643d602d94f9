package redis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/entry"
	"github.com/securews/securews/middleware"
)

// Sessions is a store of scs that compares before it writes, finds several keys in one round trip, and
// announces ends: a session.Swapper, a session.ManyFinder and a session.Announcer. It is safe for
// concurrent use. The zero value refuses, as that of a [Shared] does.
type Sessions struct{ s *Shared }

var (
	_ scs.CtxStore         = (*Sessions)(nil)
	_ scs.IterableCtxStore = (*Sessions)(nil)
)

func (x *Sessions) key(key string) string { return x.shared().cfg.Prefix + "session:" + key }

// FindCtx implements scs.CtxStore.
func (x *Sessions) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	values, err := x.shared().ends.find(ctx, x.key(key))
	if err != nil {
		return nil, false, err
	}
	return values[0], values[0] != nil, nil
}

// FindMany implements session.ManyFinder.
func (x *Sessions) FindMany(ctx context.Context, keys ...string) ([][]byte, error) {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = x.key(key)
	}
	return x.shared().ends.find(ctx, full...)
}

// CommitCtx implements scs.CtxStore.
func (x *Sessions) CommitCtx(ctx context.Context, key string, b []byte, expires time.Time) error {
	ttl := time.Until(expires)
	if ttl <= 0 {
		return x.DeleteCtx(ctx, key)
	}
	if entry.IsEnd(b) {
		return x.shared().ends.put(ctx, x.key(key), b, ttl)
	}
	if known, ok := x.shared().ends.remembered.holds(x.key(key), time.Now()); ok && known.value == nil {
		if entry.IsRecord(b) { // of a write that was under way at the logout
			return nil
		}
		return x.shared().ends.undelete(ctx, x.key(key), b, ttl)
	}
	if err := x.shared().client.Do(ctx, "SET", x.key(key), b, "PX", milliseconds(ttl)).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// swapScript replaces the value of a key if it is the old one, or absent and the node remembers the old
// one. It returns whether it was: 1, 0 or, with the log as the second key, the id under which the log has
// the end.
var swapScript = goredis.NewScript(`
local now = redis.call('GET', KEYS[1])
if ARGV[1] == 'absent' then
	if now then return 0 end
elseif now ~= ARGV[2] and (now or ARGV[1] ~= 'remembered') then
	return 0
end
local done = 1
if KEYS[2] then -- first: if it is refused, nothing has changed
	done = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return done
`)

// Swap implements session.Swapper.
func (x *Sessions) Swap(ctx context.Context, key string, old, b []byte, expires time.Time) (bool, error) {
	ttl := max(time.Until(expires), time.Millisecond)
	if entry.IsEnd(b) {
		return x.shared().ends.swapAndAppend(ctx, end{key: x.key(key), value: b, expires: time.Now().Add(ttl)}, swapArguments(old, b, ttl))
	}
	swapped, err := swapScript.Run(ctx, x.shared().client, []string{x.key(key)}, swapArguments(old, b, ttl)...).Bool()
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	return swapped, nil
}

func swapArguments(old, b []byte, ttl time.Duration) []any {
	has := "present"
	if old == nil {
		has = "absent"
	}
	return []any{has, old, b, milliseconds(max(ttl, time.Millisecond))}
}

// milliseconds rounds up, because Redis refuses an expiry of 0.
func milliseconds(d time.Duration) int64 { return int64((d-1)/time.Millisecond) + 1 }

// DeleteCtx implements scs.CtxStore.
func (x *Sessions) DeleteCtx(ctx context.Context, key string) error {
	return x.shared().ends.remove(ctx, x.key(key))
}

// AllCtx implements scs.IterableCtxStore, and returns every session and entry of the Prefix. It scans
// all keys of the server, or of each master of a Cluster.
func (x *Sessions) AllCtx(ctx context.Context) (map[string][]byte, error) {
	ends := x.shared().ends
	var mu sync.Mutex
	all := map[string][]byte{}
	err := x.shared().eachServer(ctx, func(ctx context.Context, server goredis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := server.ScanType(ctx, cursor, x.key("*"), 1000, "string").Result()
			if err != nil {
				return err
			}
			values, err := ends.findAll(ctx, keys)
			if err != nil {
				return err
			}
			mu.Lock()
			for i, b := range values {
				if b != nil {
					all[strings.TrimPrefix(keys[i], x.key(""))] = b
				}
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return all, nil
}

// eachServer calls fn for the server, or for each master of a Cluster, concurrently.
func (s *Shared) eachServer(ctx context.Context, fn func(context.Context, goredis.Cmdable) error) error {
	if cluster, ok := s.client.(*goredis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *goredis.Client) error { return fn(ctx, c) })
	}
	return fn(ctx, s.client)
}

// Announce implements session.Announcer, by an entry of the log.
func (x *Sessions) Announce(ctx context.Context, v middleware.Revocation) error {
	return x.shared().ends.announce(ctx, v)
}

// Follow implements session.Announcer.
func (x *Sessions) Follow(fn func(middleware.Revocation)) (stop func()) {
	return x.shared().ends.follow(fn)
}

// Find implements scs.Store. It, Commit and Delete wait for at most three seconds.
func (x *Sessions) Find(key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return x.FindCtx(ctx, key)
}

// Commit implements scs.Store.
func (x *Sessions) Commit(key string, b []byte, expires time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return x.CommitCtx(ctx, key, b, expires)
}

// Delete implements scs.Store.
func (x *Sessions) Delete(key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return x.DeleteCtx(ctx, key)
}
