package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/middleware"
)

const (
	readBlock    = time.Second     // how long one read waits for an entry
	readTimeout  = 3 * time.Second // for its answer: the server may be gone without an error
	dialTimeout  = 6 * time.Second // for the several trips of a new connection
	writeTimeout = canaryBy        // a new connection to a slow server takes as long
	canaryEvery  = 2 * time.Second
	canaryBy     = 5 * time.Second // a canary that has not been read by then was lost
	readCount    = 512
	firstPause   = 50 * time.Millisecond // before connecting anew; it doubles
	longestPause = time.Second
	verifyEvery  = 5 * time.Second
	verifyFor    = 5 * time.Minute

	clientName = "securews-log" // in CLIENT LIST
)

// reader reads the log on a connection of its own. It begins with an entry that it writes itself, so
// that there is a place to stand on, and none after it is missed.
type reader struct {
	*endLog
	at       id // the entry we stand on; zero: none yet
	canary   canary
	verified time.Time
	healed   healed
	others   map[string]other
	tasks    sync.WaitGroup
}

func newReader(l *endLog) *reader {
	return &reader{endLog: l}
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	defer r.tasks.Wait()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		began := time.Now()
		err := r.connected(ctx)
		if ctx.Err() != nil {
			return
		}
		r.deaf(err)
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

// connected reads on one connection, until an error.
func (r *reader) connected(ctx context.Context) error {
	options := *r.cfg.Options
	options.PoolSize, options.MinIdleConns, options.ReadTimeout = 2, 0, readTimeout
	options.ClientName = clientName
	client := goredis.NewUniversalClient(&options)
	defer context.AfterFunc(ctx, func() { _ = client.Close() })() // a read does not end with its context
	defer func() { _ = client.Close() }()
	if err := dial(ctx, client); err != nil {
		return err
	}
	if err := r.stand(ctx, client); err != nil {
		return err
	}
	r.canary = canary{}
	for ctx.Err() == nil {
		if err := r.canary.sing(ctx, r); err != nil {
			return err
		}
		entries, err := r.read(ctx, client)
		if err != nil {
			return err
		}
		if err := r.stand(ctx, client); err != nil { // before at moves: a read passes over what was lost
			return err
		}
		for _, e := range entries {
			r.take(e)
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

// read returns the entries after the one we stand on.
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

// stand makes sure that the entry we stand on is still in the log, and the newest that this
// node wrote. If one is not, or at the beginning, it stands on a new entry, stores lost ends
// again, and has the followers ask about everything.
func (r *reader) stand(ctx context.Context, client goredis.UniversalClient) error {
	begins := r.at == id{}
	if !begins {
		switch lost, err := r.lost(ctx, client); {
		case err != nil:
			return err
		case !lost:
			r.stands()
			return nil
		}
		r.deaf(errLost) // reads wait until the ends are stored again
		r.cfg.Log.Warn("redis: the server has lost entries of the log, or this node was away too long: storing ends again, and asking about every connection")
	}
	if err := r.restart(ctx, client); err != nil {
		return err
	}
	if err := r.heal(ctx, client, r.remembered.all(time.Now())); err != nil {
		r.at = id{} // once more
		return err
	}
	r.stands()
	r.followers.Tell(told{v: middleware.Revocation{Resync: true}})
	if begins {
		r.warnOfEviction(ctx, client)
	}
	return nil
}

var errLost = errors.New("redis: the log: entries are gone")

// restart stands on a new entry. Older ones of this node may be lost.
func (r *reader) restart(ctx context.Context, client goredis.UniversalClient) error {
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
	r.at, r.written = position, position
	r.losses++
	return nil
}

// appendEmpty appends an entry that says nothing.
func (r *reader) appendEmpty(ctx context.Context, client goredis.UniversalClient, as string) (id, error) {
	entry := r.entry(fieldCanary, "")
	entry.ID = as
	at, err := client.XAdd(ctx, entry).Result()
	if err != nil {
		return id{}, fmt.Errorf("redis: the log: %w", err)
	}
	return parseID(at)
}

func (r *reader) lost(ctx context.Context, client goredis.UniversalClient) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for _, at := range []id{r.at, r.newest()} {
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

// take acts on an entry, and stands on it.
func (r *reader) take(e goredis.XMessage) {
	at, err := parseID(e.ID)
	if err != nil {
		return
	}
	r.at = at
	switch fields := e.Values; {
	case fields[fieldKey] != nil:
		if s, err := parseStored(at, fields); err == nil {
			r.remembered.add(s, time.Now())
		}
	case fields[fieldAnnouncement] != nil:
		v, err := parseAnnouncement(text(fields, fieldAnnouncement))
		if err != nil {
			v = middleware.Revocation{Resync: true} // of another version: a new answer is right in any case
		}
		r.followers.Tell(told{v, r.losses, at})
	case text(fields, fieldCanary) == r.node:
		r.heard(r.canary.heard())
	}
}

// canary is the entry by which a node finds that it no longer hears.
type canary struct {
	mu      sync.Mutex
	due     time.Time
	sung    time.Time // when the last one was written; zero: it has been heard
	writing bool
}

var errDeaf = fmt.Errorf("redis: the log: an entry of this node has not arrived within %v", canaryBy)

// sing writes one if it is time. It does not wait for the server, and fails if the last one that was
// written is overdue.
func (c *canary) sing(ctx context.Context, r *reader) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !c.sung.IsZero() {
		if now.Sub(c.sung) > canaryBy {
			return errDeaf
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
		c.sung = time.Now() // before the write, since it may be read before that returns
		c.mu.Unlock()
		err := r.endLog.canary(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.writing = false; err != nil {
			c.sung = time.Time{} // it may be in the log or not
		}
	})
	return nil
}

func (c *canary) heard() (lag time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sung.IsZero() {
		return 0
	}
	lag = time.Since(c.sung)
	c.sung = time.Time{}
	return lag
}
