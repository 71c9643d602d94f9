package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
)

const (
	readBlock    = time.Second           // how long one read waits for an entry
	readTimeout  = 3 * time.Second       // for its answer: the server may be gone without an error
	dialTimeout  = 6 * time.Second       // for the several round trips of a new connection
	writeTimeout = canaryBy              // a new connection to a slow server takes as long
	canaryEvery  = 2 * time.Second       // how often a canary is written
	canaryBy     = 5 * time.Second       // a canary that has not been read by then was lost
	readCount    = 512                   // entries of one read
	firstPause   = 50 * time.Millisecond // before connecting anew; it doubles
	longestPause = time.Second           // before connecting anew
	verifyEvery  = 5 * time.Second       // how often ends are looked up
	verifyFor    = 5 * time.Minute       // how long after this node has learned of them

	clientName = "securews-log" // in CLIENT LIST
)

// reader reads the log on a connection of its own. Its position is the entry that it has read last. The
// first position is an entry that it writes itself, so that none after it is missed.
type reader struct {
	*endLog
	began      id      // the first position since the server has lost entries: every later end was read
	at         id      // the position; zero: none yet
	canary     *canary // of the present connection
	verified   time.Time
	repaired   repaired
	mismatches map[string]mismatch
	tasks      sync.WaitGroup
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	defer r.tasks.Wait()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		began := time.Now()
		err := r.readUntilError(ctx)
		if ctx.Err() != nil {
			return
		}
		r.noteFault(err)
		if time.Since(began) > longestPause {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(float64(pause) * (0.5 + rand.Float64()/2))):
		}
	}
}

// readUntilError connects, and reads until an error, which it returns, or until ctx ends.
func (r *reader) readUntilError(ctx context.Context) error {
	options := *r.cfg.Options
	options.PoolSize, options.MinIdleConns, options.ReadTimeout = 2, 0, readTimeout
	options.ClientName = clientName
	client := goredis.NewUniversalClient(&options)
	defer context.AfterFunc(ctx, func() { _ = client.Close() })() // a read does not end with its context
	defer func() { _ = client.Close() }()
	if err := dial(ctx, client); err != nil {
		return err
	}
	if err := r.checkPosition(ctx, client); err != nil {
		return err
	}
	r.canary = new(canary)
	for ctx.Err() == nil {
		if err := r.canary.send(ctx, r); err != nil {
			return err
		}
		entries, err := r.read(ctx, client)
		if err != nil {
			return err
		}
		for _, e := range entries {
			r.learn(e)
		}
		if err := r.checkPosition(ctx, client); err != nil { // before at moves: a read passes over lost entries
			return err
		}
		for _, e := range entries {
			r.apply(e)
		}
		if err := r.verify(ctx, client); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func dial(ctx context.Context, client goredis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: the log: connect: %w", err)
	}
	return nil
}

// read returns the entries after the position; none if there are none within readBlock.
func (r *reader) read(ctx context.Context, client goredis.UniversalClient) ([]goredis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	streams, err := client.XRead(ctx, &goredis.XReadArgs{
		Streams: []string{r.stream, r.at.String()}, Count: readCount, Block: readBlock,
	}).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("redis: the log: read: %w", err)
	case len(streams) != 1:
		return nil, errEntry
	}
	return streams[0].Messages, nil
}

// checkPosition makes sure that the log still has the entry of the position, and the newest that this
// node wrote. If it lacks one, or at the beginning, the reader takes a new position, repairs lost ends,
// and has the followers ask about every connection.
func (r *reader) checkPosition(ctx context.Context, client goredis.UniversalClient) error {
	first := r.at == id{}
	if !first {
		switch lost, err := r.lost(ctx, client); {
		case err != nil:
			return err
		case !lost:
			r.markIntact()
			return nil
		}
		r.noteFault(errLost) // reads wait until the ends are stored again
		r.cfg.Log.Warn("redis: the server has lost entries of the log, or this node was away too long: storing ends again, " +
			"and asking about every connection")
	}
	if err := r.reposition(ctx, client); err != nil {
		return err
	}
	if err := r.repair(ctx, client, r.remembered.all(time.Now())); err != nil {
		r.at = id{} // so that it is done again
		return err
	}
	r.markIntact()
	r.followers.Tell(told{v: middleware.Revocation{Resync: true}})
	if first {
		r.warnOfEviction(ctx, client)
	}
	return nil
}

var errLost = errors.New("redis: the log: entries are gone")

// reposition takes a new entry as the position. Older entries of this node may be lost.
func (r *reader) reposition(ctx context.Context, client goredis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	position, err := r.appendEmpty(ctx, client, "*")
	if known := r.remembered.newest(); err == nil && position.less(known) { // the clock of the server was set back
		if position, err = r.appendEmpty(ctx, client, known.next().String()); goredis.HasErrorPrefix(err, "ERR The ID") {
			position, err = r.appendEmpty(ctx, client, "*") // another node was faster
		}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.written, r.began = position, position, position
	r.losses++
	return nil
}

// appendEmpty appends an entry without a meaning, under an id as in XADD.
func (r *reader) appendEmpty(ctx context.Context, client goredis.UniversalClient, as string) (id, error) {
	entry := r.entry(fieldCanary, "")
	entry.ID = as
	at, err := client.XAdd(ctx, entry).Result()
	if err != nil {
		return id{}, fmt.Errorf("redis: the log: %w", err)
	}
	return parseID(at)
}

// lost reports whether the log lacks the entry of the position, or the newest of this node.
func (r *reader) lost(ctx context.Context, client goredis.UniversalClient) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for _, at := range slices.Compact([]id{r.at, r.newestWritten()}) { // often the same
		if at == (id{}) {
			continue
		}
		found, err := client.XRangeN(ctx, r.stream, at.String(), at.String(), 1).Result()
		if err != nil {
			return false, fmt.Errorf("redis: the log: %w", err)
		}
		if len(found) == 0 {
			return true, nil
		}
	}
	return false, nil
}

// learn remembers the end of an entry, if it is one.
func (r *reader) learn(e goredis.XMessage) {
	at, err := parseID(e.ID)
	if err != nil || e.Values[fieldKey] == nil {
		return
	}
	if s, err := parseEnd(at, e.Values); err == nil {
		r.remembered.add(s, time.Now())
	}
}

// apply acts on an entry, and takes it as the position.
func (r *reader) apply(e goredis.XMessage) {
	at, err := parseID(e.ID)
	if err != nil {
		return
	}
	r.at = at
	switch fields := e.Values; {
	case fields[fieldAnnouncement] != nil:
		v, err := parseAnnouncement(text(fields, fieldAnnouncement))
		if err != nil {
			v = middleware.Revocation{Resync: true} // of another version: a new answer is right in any case
		}
		r.followers.Tell(told{v, r.losses, at})
	case text(fields, fieldCanary) == r.node:
		r.noteLag(r.canary.arrived())
	}
}

// canary is an entry that a node writes to find whether entries still arrive.
type canary struct {
	mu      sync.Mutex
	due     time.Time
	sent    time.Time // when the last one was written; zero: it has arrived
	writing bool      // the last write has not returned
}

var errLate = fmt.Errorf("redis: the log: an entry of this node has not arrived within %v", canaryBy)

// send writes one if it is time. It does not wait for the server, and fails if the last one that was
// written is overdue.
func (c *canary) send(ctx context.Context, r *reader) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.sent.IsZero() {
		if now.Sub(c.sent) > canaryBy {
			return errLate
		}
		return nil
	}
	if c.writing || now.Before(c.due) {
		return nil
	}
	c.writing, c.due = true, now.Add(canaryEvery)
	r.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		c.mu.Lock()
		c.sent = time.Now() // before the write, since it may be read before that returns
		c.mu.Unlock()
		err := r.endLog.canary(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.writing = false; err != nil {
			c.sent = time.Time{} // it may be in the log or not
		}
	})
	return nil
}

// arrived returns how long the last canary took; 0 if it had arrived before.
func (c *canary) arrived() (lag time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent.IsZero() {
		return 0
	}
	lag = time.Since(c.sent)
	c.sent = time.Time{}
	return lag
}
