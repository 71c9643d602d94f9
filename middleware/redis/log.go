package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
)

// logLength is about how many entries the log keeps, for nodes that were cut off.
const logLength = 100_000

// endLog is the log: a Redis stream of ends, as they are stored and as they are announced.
type endLog struct {
	cfg        Config
	client     goredis.UniversalClient
	stream     string
	node       string // names this node in its entries
	remembered memories
	followers  followers.List[told]
	calls      sync.WaitGroup // to followers
	intact     atomic.Pointer[intact]
	gone       chan struct{} // closed by close
	sharded    bool          // a Cluster: keys and the log are on several servers

	mu      sync.Mutex
	stop    context.CancelFunc // ends the reader; nil: it was not started
	done    chan struct{}      // closed when the reader has returned
	closed  bool
	written id  // the newest entry that this node has written
	losses  int // how often the server has lost entries: ids may begin anew then
	state   state
}

// told is an announcement and its place in the log. The zero place, of one that is not in the log, is
// after all others.
type told struct {
	v      middleware.Revocation
	losses int
	at     id
}

func newEndLog(cfg Config, client goredis.UniversalClient) *endLog {
	l := &endLog{cfg: cfg, client: client, stream: cfg.Prefix + "log", node: rand.Text(), gone: make(chan struct{})}
	_, l.sharded = client.(*goredis.ClusterClient)
	l.intact.Store(&intact{make(chan struct{})})
	l.state = state{fault: errNotYet, since: time.Now()}
	return l
}

// start starts the reader, the first time.
func (l *endLog) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil || l.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, l.done = cancel, make(chan struct{})
	l.state.since = time.Now()
	go (&reader{endLog: l}).run(ctx, l.done)
}

// close waits for the calls to followers, for at most callTimeout: the caller may be one of them.
func (l *endLog) close() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	stop, done := l.stop, l.done
	l.mu.Unlock()
	if first {
		close(l.gone)
	}
	if stop != nil {
		stop()
		<-done
	}
	returned := make(chan struct{})
	go func() { l.calls.Wait(); close(returned) }()
	select {
	case <-returned:
	case <-time.After(callTimeout):
	}
}

// advance notes the newest entry of this node, which must stay in the log.
func (l *endLog) advance(at id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written.less(at) {
		l.written = at
	}
}

// newestWritten returns the newest entry of this node; zero: it has written none.
func (l *endLog) newestWritten() id {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

func (l *endLog) announce(ctx context.Context, v middleware.Revocation) error {
	return l.write(ctx, announcement(v)...)
}

func (l *endLog) canary(ctx context.Context) error { return l.write(ctx, fieldCanary, l.node) }

// write appends an entry that is not of an end, and that must stay in the log.
func (l *endLog) write(ctx context.Context, fields ...string) error {
	at, err := l.append(ctx, fields...)
	if err != nil {
		return err
	}
	position, err := parseID(at)
	if err == nil {
		l.advance(position)
	}
	return err
}

// follow calls fn with the announcements after the newest entry that this node has written.
func (l *endLog) follow(fn func(middleware.Revocation)) (stop func()) {
	l.mu.Lock()
	written, losses := l.written, l.losses
	l.mu.Unlock()
	x := &follower{ends: l, fn: fn, slots: make(chan struct{}, mostCalls)}
	unfollow := l.followers.Follow(func(t told) {
		if t.at == (id{}) || t.losses != losses || written.less(t.at) {
			x.tell(t.v)
		}
	})
	return func() {
		x.stopped.Store(true)
		unfollow()
	}
}

func (l *endLog) entry(fields ...string) *goredis.XAddArgs {
	return &goredis.XAddArgs{Stream: l.stream, MaxLen: logLength, Approx: true, Values: fields}
}

func (l *endLog) append(ctx context.Context, fields ...string) (at string, err error) {
	if at, err = l.client.XAdd(ctx, l.entry(fields...)).Result(); err != nil {
		return "", fmt.Errorf("redis: the log: %w", err)
	}
	return at, nil
}
