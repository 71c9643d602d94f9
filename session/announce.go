package session

import (
	"context"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
)

// Announcer is a [scs.Store] through which each process on it learns of an end at once. Without
// it, the connections of other processes end at their next recheck. It is safe for concurrent use.
type Announcer interface {
	// Announce has the functions of Follow called with v, in every process on the store. If it
	// returns nil, no loss of the connection to the store keeps v from any of them: a process that
	// may have missed announcements calls its functions with a Revocation that has Resync set. If it
	// returns an error, v may arrive or not. Every field arrives as it was given, texts of any bytes; a
	// time before 1678 or after 2261 may arrive as the nearest that Unix nanoseconds hold.
	Announce(ctx context.Context, v middleware.Revocation) error

	// Follow calls fn with every later announcement, those of this process too, until stop is
	// called. It returns at once. Calls may be concurrent, and last up to a second. fn may call the
	// store. A function that panics, or does not return, keeps no other from an announcement.
	Follow(fn func(middleware.Revocation)) (stop func())
}

// tell has the followers know of an end: those of this process before it returns, and those of
// others if the store is an [Announcer]. Without an error no other process misses it.
func (x *ends) tell(v middleware.Revocation) error {
	if x.store.announcer == nil {
		x.followers.Tell(v)
		return nil
	}
	announced := make(chan error, 1)
	go func() { announced <- x.announce(v) }()
	x.followers.Tell(v)
	return <-announced
}

// announce calls the Announcer, for at most the time-out of the store.
func (x *ends) announce(v middleware.Revocation) error {
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	defer cancel()
	_, err := bounded.Call(ctx, x.store.calls, "session: store: announce", func() (struct{}, error) {
		return struct{}{}, x.store.announcer.Announce(ctx, v)
	})
	return err
}

// tellFailed is tell for an end whose write failed, although the store may have it.
func (x *ends) tellFailed(v middleware.Revocation) { _ = x.tell(v) }

// Follow implements middleware.Revocations.
func (x *ends) Follow(fn func(middleware.Revocation)) (stop func()) {
	if x.store.announcer == nil {
		return x.followers.Follow(fn)
	}
	return bounded.FollowAll(fn, x.followers.Follow, x.store.announcer.Follow)
}
