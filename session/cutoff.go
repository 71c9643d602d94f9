package session

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/securews/securews/middleware"
)

// cutoff is the content of a kindCutoff entry: tokens issued before the one time are revoked, and
// the entry is kept until the other. Both are Unix nanoseconds.
type cutoff struct{ before, expires int64 }

const cutoffSize = 16

func parseCutoff(b []byte) (cutoff, error) {
	s, err := fixedPayload(b, kindCutoff, cutoffSize)
	if err != nil || s == "" {
		return cutoff{}, err
	}
	return cutoff{
		before:  int64(binary.BigEndian.Uint64([]byte(s[:8]))),
		expires: int64(binary.BigEndian.Uint64([]byte(s[8:]))),
	}, nil
}

func (c cutoff) value() []byte {
	var b [cutoffSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(c.before))
	binary.BigEndian.PutUint64(b[8:], uint64(c.expires))
	return entryValue(kindCutoff, string(b[:]))
}

// nanoseconds returns t.UnixNano, or the nearest that an int64 holds: a subject may be cut off
// until the year 9999.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// raiseCutoff raises the cut-off of a subject, and never lowers it. Between nodes on a store that
// does not compare, two at once may leave the lower one: it is read back and written again
// while it is lower, and what remains are tokens issued between the two moments. A
// bearer.Config.Leeway of at least the time between them refuses those as well.
func (x *ends) raiseCutoff(ctx context.Context, v middleware.Revocation) error {
	key := entryKey(kindCutoff, v.Issuer, v.Subject)
	want := cutoff{nanoseconds(v.Before), max(nanoseconds(v.Expires), nanoseconds(time.Now().Add(entryRetention)))}
	return x.inTurn(ctx, key, func() error { return x.raiseCutoffRaw(ctx, key, want) })
}

func (x *ends) raiseCutoffRaw(ctx context.Context, key string, want cutoff) error {
	for range attempts {
		b, err := x.store.findRaw(ctx, key)
		if err != nil {
			return err
		}
		now, err := parseCutoff(b)
		if err != nil {
			return err
		}
		if now.before >= want.before && now.expires >= want.expires {
			return nil
		}
		next := cutoff{max(now.before, want.before), max(now.expires, want.expires)}
		if _, err := x.store.writeRaw(ctx, key, b, next.value(), time.Unix(0, next.expires)); err != nil {
			return err
		}
	}
	return errContended
}
