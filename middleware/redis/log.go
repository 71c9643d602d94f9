package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/followers"
	"github.com/securews/securews/middleware"
)

// logLength is about how many entries the log keeps, for nodes that were cut off.
const logLength = 100_000

// endLog is the stream of ends, as they are stored and as they are announced.
type endLog struct {
	cfg        Config
	client     goredis.UniversalClient
	stream     string
	node       string // names this node in its entries
	remembered memory
	followers  followers.List[middleware.Revocation]

	mu      sync.Mutex
	reading context.CancelFunc // nil: nothing reads
	done    chan struct{}      // closed when the reader has returned
	n       int                // how many follow
	closed  bool
	written id // the newest entry that this node has written
	state   state
}

// state is how this node hears of announcements.
type state struct {
	fault error     // nil: it hears
	since time.Time // of the fault
	lag   time.Duration
}

func newEndLog(cfg Config, client goredis.UniversalClient) *endLog {
	return &endLog{cfg: cfg, client: client, stream: cfg.Prefix + "log", node: rand.Text()}
}

// put stores an end, and records it in the log.
func (l *endLog) put(ctx context.Context, key string, value []byte, left time.Duration) error {
	var appended *goredis.StringCmd
	_, err := l.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		p.Do(ctx, "SET", key, value, "PX", milliseconds(left))
		appended = p.XAdd(ctx, l.entry(stored{key: key, value: value, expires: time.Now().Add(left)}.fields()...))
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	l.wrote(appended.Val(), key, value, left)
	return nil
}

// record records an end that is stored already.
func (l *endLog) record(ctx context.Context, key string, value []byte, left time.Duration) error {
	at, err := l.append(ctx, stored{key: key, value: value, expires: time.Now().Add(left)}.fields()...)
	if err != nil {
		return err
	}
	l.wrote(at, key, value, left)
	return nil
}

func (l *endLog) wrote(at, key string, value []byte, left time.Duration) {
	if at, err := parseID(at); err == nil {
		l.remembered.add(stored{key: key, value: value, expires: time.Now().Add(left), first: at}, time.Now())
		l.advance(at)
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

func (l *endLog) announce(ctx context.Context, v middleware.Revocation) error {
	return l.own(ctx, announcement(v)...)
}

func (l *endLog) canary(ctx context.Context) error { return l.own(ctx, fieldCanary, l.node) }

// own appends an entry that must stay in the log.
func (l *endLog) own(ctx context.Context, fields ...string) error {
	at, err := l.append(ctx, fields...)
	if err != nil {
		return err
	}
	if at, err := parseID(at); err == nil {
		l.advance(at)
	}
	return nil
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

// follow starts the reader if this is the first.
func (l *endLog) follow(fn func(middleware.Revocation)) (stop func()) {
	unfollow := l.followers.Follow(fn)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	if l.reading == nil && !l.closed {
		ctx, cancel := context.WithCancel(context.Background())
		l.reading, l.done = cancel, make(chan struct{})
		l.state = state{fault: errNotYet, since: time.Now()}
		go newReader(l).run(ctx, l.done)
	}
	return sync.OnceFunc(func() {
		unfollow()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.n--; l.n == 0 {
			l.stopReading()
		}
	})
}

var errNotYet = errors.New("redis: the log: not connected yet")

func (l *endLog) stopReading() {
	if l.reading != nil {
		l.reading()
		l.reading = nil
	}
}

func (l *endLog) close() {
	l.mu.Lock()
	l.closed = true
	l.stopReading()
	done := l.done
	l.mu.Unlock()
	if done != nil {
		<-done
	}
}

// hears returns why this node does not hear of announcements; nil if it does, or if nothing
// follows them.
func (l *endLog) hears() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reading == nil {
		return nil
	}
	return l.state.fault
}

func (l *endLog) hearing() Hearing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Hearing{Deaf: l.reading != nil && l.state.fault != nil, Lag: l.state.lag}
}

// heard notes that the reader works; its canary took that long.
func (l *endLog) heard(lag time.Duration) {
	l.mu.Lock()
	was := l.state
	l.state = state{lag: lag}
	l.mu.Unlock()
	if was.fault != nil && !errors.Is(was.fault, errNotYet) {
		l.cfg.Log.Info("redis: announcements arrive again", "after", time.Since(was.since).Round(time.Millisecond))
	}
}

// deaf notes, and logs once, that the reader does not work.
func (l *endLog) deaf(err error) {
	l.mu.Lock()
	was := l.state.fault
	if was == nil {
		l.state.since = time.Now()
	}
	l.state.fault = err
	l.mu.Unlock()
	if was == nil || errors.Is(was, errNotYet) {
		l.cfg.Log.Warn("redis: announcements of other nodes do not arrive; connecting anew", "error", err)
	}
}
