package redis

import (
	"context"
	"crypto/rand"
	"errors"
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

// put stores an end, and appends it to the log.
func (l *endLog) put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s := end{key: key, value: value, expires: time.Now().Add(ttl)}
	return l.storeAndAppend(ctx, s, "SET", key, value, "PX", milliseconds(ttl))
}

// deletedFor is how long the deletion of a session is remembered: longer than any session lasts.
const deletedFor = 31 * 24 * time.Hour

// remove deletes the record of a session, and appends that to the log: a backup may have it.
func (l *endLog) remove(ctx context.Context, key string) error {
	return l.storeAndAppend(ctx, end{key: key, expires: time.Now().Add(deletedFor)}, "DEL", key)
}

// undelete stores a record under a key that was deleted, which package session never does, and appends an
// end of the key that has expired already, so that the nodes no longer hold it for deleted.
func (l *endLog) undelete(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	return l.storeAndAppend(ctx, end{key: key, expires: time.Now()}, "SET", key, b, "PX", milliseconds(ttl))
}

// storeAndAppend has the command store an end, and appends it to the log. No end is stored without its
// entry: a caller that tries again would find it stored, and never append it.
func (l *endLog) storeAndAppend(ctx context.Context, s end, command ...any) error {
	if l.sharded {
		if err := l.appendEnd(ctx, s); err != nil {
			return err
		}
		if err := l.client.Do(ctx, command...).Err(); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
		return nil
	}
	newest := l.remembered.newest()
	var appended *goredis.StringCmd
	_, err := l.client.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Do(ctx, command...)
		appended = p.XAdd(ctx, l.entry(s.fields()...))
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return l.remember(appended.Val(), s, newest)
}

// swapAndAppend runs swapScript for an end, and appends it: on a single server in one step. On a Cluster
// it is appended afterwards, since the log must not have an end that another has kept out.
func (l *endLog) swapAndAppend(ctx context.Context, s end, arguments []any) (bool, error) {
	newest := l.remembered.newest()
	keys := []string{s.key}
	if !l.sharded {
		keys, arguments = append(keys, l.stream), append(arguments, logLength)
		for _, field := range s.fields() {
			arguments = append(arguments, field)
		}
	}
	result, err := swapScript.Run(ctx, l.client, keys, arguments...).Result()
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	switch at := result.(type) {
	case string:
		return true, l.remember(at, s, newest)
	case int64:
		if at == 1 {
			return true, l.appendEnd(ctx, s)
		}
	}
	return false, nil
}

// appendEnd appends an end to the log, and remembers it.
func (l *endLog) appendEnd(ctx context.Context, s end) error {
	newest := l.remembered.newest()
	at, err := l.append(ctx, s.fields()...)
	if err != nil {
		return err
	}
	return l.remember(at, s, newest)
}

var errEarlier = errors.New("redis: the log has begun anew, and the clock of the server was set back: " +
	"ends are not stored until the nodes have noticed, within seconds")

// remember has this node remember an end that it has appended; newest is the newest end before that. The
// nodes would take an end with an earlier id for one that another has replaced.
func (l *endLog) remember(at string, s end, newest id) (err error) {
	if s.first, err = parseID(at); err != nil {
		return err
	}
	if s.first.less(newest) {
		return errEarlier
	}
	l.remembered.add(s, time.Now())
	l.advance(s.first)
	return nil
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
