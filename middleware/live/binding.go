package live

import (
	"sync"
	"sync/atomic"

	"github.com/securews/securews/internal/contextkey"
	"github.com/securews/securews/middleware"
)

// Member is something open that a registry ends. None of its methods is to block; one that
// does is not called again until it returns, and holds up no other member. A panic is
// contained, and logged once for each member.
type Member interface {
	// End begins the end of the member, for the cause. It is called with the first cause
	// that the registry finds; and a second time, with one that is [Revoked] or [Forbidden] in
	// errors.Is, if the first was neither and the credential is revoked, or its principal
	// forbidden, afterwards: then nothing that is on its way is for the peer any more. Calls do
	// not overlap; one may still come while the member leaves, as one of Next may.
	End(cause *Cause)

	// Next acts on the member's own deadlines and returns when it is to be called again,
	// in the time of [Registry.Now]; 0: no deadline. It is called at the tick after Open
	// and then at least once in 64 s until the member leaves, also after End. If hurry is
	// set, a shutdown is out of time, and the member ends as fast as it can.
	Next(now int64, hurry bool) (due int64)
}

// Binding ties a member to the principal of the request that opened it. The zero value is
// ready for [Registry.Reserve]. Its methods are safe for concurrent use, except that
// Reserve, Bind, Open and Leave are called in this order, Leave at any time.
type Binding struct {
	registry  *Registry
	member    Member
	follow    atomic.Pointer[follow] // of the Auth that vouches
	principal atomic.Pointer[middleware.Principal]
	id        string
	share     *share
	opened    atomic.Int64
	jitter    float32 // in [0, 1), the binding's own
	stage     atomic.Uint32
	place     place
	links     [indexKinds]links
	ofSubject int32 // the length of the list of its subject, if it is the head; guarded as links are
	nexts     nexts

	mu       sync.Mutex // guards the fields below; orders Bind, Replace and Leave
	expires  int64      // end of the credential as it was computed first; 0: none
	question question
	ending   ending
}

// The stages of a Binding.
const (
	reserved uint32 = iota + 1
	bound
	readableRefusal
	lateReadableRefusal // Shutdown does not wait for it
	left
)

// ending is how far the end of a binding has come. Its plain fields are guarded by
// Binding.mu.
type ending struct {
	at       atomic.Int64 // when it began; 0: it has not
	next     *Cause       // to be told when End returns
	telling  bool         // End is being called
	final    bool         // End was called with a final cause, or will be
	counted  bool         // in Registry.told
	stuck    bool         // was reported; of the wheel's goroutine
	panicked atomic.Bool  // was logged
}

// place is a binding's place in the wheel, guarded by wheel.mu.
type place struct {
	next, prev *Binding
	tick       int64 // 0: not in a slot
	soon       int64 // hastened to, while out of its slot to be woken; 0: it was not
	in, gone   bool  // added; removed, for good
}

// links are a binding's neighbours in the list of one kind, guarded by the lock of the
// shard.
type links struct{ next, prev *Binding }

// The kinds of lists of the index.
const (
	bySubject = iota
	bySession
	byToken
	indexKinds
)

// ID returns the id of the connection: the one that the credential reserved, as a ticket
// does, else that of the request in the access log, else 128 random bits. It is not secret
// and grants nothing.
func (b *Binding) ID() string { return b.id }

// Opened returns when the place was reserved, in the time of [Registry.Now]; earlier by the
// time that the machine was suspended since.
func (b *Binding) Opened() int64 { return b.opened.Load() }

// Jitter returns a number in [0, 1), the binding's own, by which a member can spread what
// it does.
func (b *Binding) Jitter() float64 { return float64(b.jitter) }

// Principal returns a copy of the current principal.
func (b *Binding) Principal() middleware.Principal {
	if p := b.principal.Load(); p != nil {
		return p.Clone()
	}
	return middleware.Principal{}
}

// Shared returns the current principal, which every holder shares and none changes; nil
// before Bind. It is for the packages of this module, which pass contextkey.Key(); anything
// else gets a copy.
func (b *Binding) Shared(key contextkey.Ours) *middleware.Principal {
	if !key.Valid() {
		p := b.Principal()
		return &p
	}
	return b.principal.Load()
}
