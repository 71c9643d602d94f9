package session

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/securews/securews/internal/unixnano"
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

// raiseCutoff raises the cut-off of a subject, and never lowers it. Between nodes on a store that
// does not compare, two at once may leave the lower one: it is read back and written again
// while it is lower, and what remains are tokens issued between the two moments. A
// bearer.Config.Leeway of at least the time between them refuses those as well.
func (x *ends) raiseCutoff(ctx context.Context, v middleware.Revocation) error {
	key := entryKey(kindCutoff, v.Issuer, v.Subject)
	want := cutoff{unixnano.Of(v.Before), max(unixnano.Of(v.Expires), unixnano.Of(time.Now().Add(entryRetention)))}
	return x.inTurn(ctx, key, func() error { return x.raiseCutoffRaw(ctx, key, want) })
}

func (x *ends) raiseCutoffRaw(ctx context.Context, key string, want cutoff) error {
	written := x.store.swapper == nil // without a comparison, no more is written than has to be
	for range attempts {
		b, err := x.store.findRaw(ctx, key)
		if err != nil {
			return err
		}
		now, err := parseCutoff(b)
		if err != nil {
			return err
		}
		next := cutoff{max(now.before, want.before), max(now.expires, want.expires)}
		if next == now && written {
			return nil
		}
		if written, err = x.store.writeRaw(ctx, key, b, next.value(), time.Unix(0, next.expires)); err != nil {
			return err
		}
	}
	return errContended
}
