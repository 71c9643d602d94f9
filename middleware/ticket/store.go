package ticket

import (
	"context"
	"errors"
	"time"
)

// Store keeps tickets until they are taken or their time is over. Keys are hashes of
// tickets: whoever reads the store can redeem nothing. There is no Get on purpose.
// Implementations are safe for concurrent use and give up when the context ends.
type Store interface {
	// Put keeps value under key for ttl. It must not replace what is there, and does not
	// keep value itself.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Take removes what is under key and returns it, in one step: of any number of
	// concurrent calls, on any number of nodes, one gets it. The others, and all that
	// come too late, get [ErrNotFound].
	Take(ctx context.Context, key string) ([]byte, error)
}

var (
	// ErrNotFound is what Take answers where there is nothing under the key: never, not
	// any more, or taken already.
	ErrNotFound = errors.New("ticket: not found")

	// ErrFull is what Put answers where no ticket more fits; it is refused with 503.
	ErrFull = errors.New("ticket: the store is full")
)
