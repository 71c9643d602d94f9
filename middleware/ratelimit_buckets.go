package middleware

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets is the [Limiter] in memory: a token bucket for every key, in shards so
// that requests seldom wait for each other. It never holds more than maxKeys. A decision
// for a known key does not allocate.
type buckets struct {
	seed     maphash.Seed
	shards   []bucketShard // a power of two
	overflow bucketShard   // a single bucket: new keys share it while the table is full
}

type bucketShard struct {
	mu      sync.Mutex
	index   map[string]int // key to its place in buckets
	buckets []bucket
	limit   int // most buckets
	hand    int // the bucket that is tried next for a new key
}

type bucket struct {
	key string
	*rate.Limiter
}

const (
	mostShards   = 16
	leastInShard = 512
	longestKey   = 64 // bytes; a longer key is kept as its hash
	looks        = 8  // buckets that are tried for a new key
)

func newBuckets(perSecond float64, burst, maxKeys int) *buckets {
	n := 1
	for n < mostShards && maxKeys/(2*n) >= leastInShard {
		n *= 2
	}
	b := &buckets{seed: maphash.MakeSeed(), shards: make([]bucketShard, n)}
	for i := range b.shards {
		b.shards[i].index = map[string]int{}
		b.shards[i].limit = maxKeys / n
	}
	b.overflow.buckets = []bucket{{"", rate.NewLimiter(rate.Limit(perSecond), burst)}}
	return b
}

// Allow implements [Limiter].
func (b *buckets) Allow(_ context.Context, key string) (time.Duration, error) {
	var short [longestKey]byte
	if len(key) > longestKey {
		sum := sha256.Sum256([]byte(key))
		return b.allow(sum[:]), nil
	}
	return b.allow(append(short[:0], key...)), nil
}

// addressBuckets limit clients by address. An IPv6 client is limited twice: by its /64, and by
// its /48, the usual size of a site, which has wideShare times the rate. Otherwise one /48 could
// fill the table with its 65,536 networks and leave newcomers the shared bucket.
type addressBuckets struct {
	narrow, wide *buckets
}

const wideShare = 16

// allow takes from the wide bucket before a new narrow one is made, and from a narrow one that
// refuses before the wide one, so that a single client does not use up the share of its site.
func (b *addressBuckets) allow(addr netip.Addr) time.Duration {
	var short, site [longestKey]byte
	key := appendAddress(short[:0], addr)
	if !addr.Is6() {
		return b.narrow.allow(key)
	}
	if b.narrow.has(key) {
		if wait := b.narrow.allow(key); wait != 0 {
			return wait
		}
		return b.wide.allow(append(site[:0], key[:6]...))
	}
	if wait := b.wide.allow(append(site[:0], key[:6]...)); wait != 0 {
		return wait
	}
	return b.narrow.allow(key)
}

// has reports whether the key has a bucket of its own.
func (b *buckets) has(key []byte) bool {
	s := b.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.index[string(key)]
	return ok
}

func (b *buckets) shardOf(key []byte) *bucketShard {
	return &b.shards[maphash.Bytes(b.seed, key)&uint64(len(b.shards)-1)]
}

// allow reads the time under the lock, so that a bucket does not see it run backwards.
func (b *buckets) allow(key []byte) time.Duration {
	s := b.shardOf(key)
	shared := b.overflow.buckets[0]
	s.mu.Lock()
	now := time.Now()
	if own, ok := s.find(key, now, shared.Limit(), shared.Burst()); ok {
		defer s.mu.Unlock()
		return take(own, now)
	}
	s.mu.Unlock()
	b.overflow.mu.Lock()
	defer b.overflow.mu.Unlock()
	return take(shared.Limiter, time.Now())
}

// find returns the key's bucket, or a full one that becomes the key's: a new one
// below the bound; at the bound one that is full again, which equals a new one.
func (s *bucketShard) find(key []byte, now time.Time, limit rate.Limit, burst int) (*rate.Limiter, bool) {
	if i, ok := s.index[string(key)]; ok {
		return s.buckets[i].Limiter, true
	}
	if len(s.buckets) < s.limit {
		s.index[string(key)] = len(s.buckets)
		s.buckets = append(s.buckets, bucket{string(key), rate.NewLimiter(limit, burst)})
		return s.buckets[len(s.buckets)-1].Limiter, true
	}
	for range min(looks, len(s.buckets)) {
		i := s.hand
		s.hand = (s.hand + 1) % len(s.buckets)
		if old := &s.buckets[i]; old.TokensAt(now) >= float64(burst) {
			delete(s.index, old.key)
			old.key = string(key)
			s.index[old.key] = i
			return old.Limiter, true
		}
	}
	return nil, false
}

// take takes one token, or returns the time until there is one.
func take(l *rate.Limiter, now time.Time) time.Duration {
	if l.AllowN(now, 1) {
		return 0
	}
	missing := 1 - l.TokensAt(now)
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), 1)
}
