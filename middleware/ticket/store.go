package ticket

import (
	"context"
	"errors"
	"time"
)

// Store keeps tickets until they are consumed or their time is over. Keys are hashes of
// tickets, so that a reader of the store cannot use one. It has no Get, on purpose.
// Implementations are safe for concurrent use and return when the context ends. A call
// that takes longer than 1 s is given up, and the request is refused with 503; a panic
// refuses it with 500. Package storetest tests implementations.
type Store interface {
	// Put stores a copy of value under key for ttl. If a value is stored there, it returns an
	// error and keeps that value.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Consume removes the value under key and returns it, in one step: of any number of
	// concurrent calls, on any number of nodes, one gets it. The others, and all later
	// ones, get [ErrNotFound].
	Consume(ctx context.Context, key string) ([]byte, error)
}

var (
	// ErrNotFound is the error of Consume if the key has no value: it was never
	// stored, its time is over, or it was consumed.
	ErrNotFound = errors.New("ticket: not found")

	// ErrFull is the error of Put if the store has no room; it is refused with 503.
	ErrFull = errors.New("ticket: the store is full")
)
