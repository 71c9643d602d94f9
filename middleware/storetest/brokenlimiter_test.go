package storetest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// counter is a limiter that keeps the contract, but for one fault: 5 events in each window of
// 2 s, which begins with the first.
type counter struct {
	fault string
	mu    sync.Mutex
	of    map[string]window
}

type window struct {
	ends  time.Time
	count int
}

func newCounter(fault string) *counter { return &counter{fault: fault, of: map[string]window{}} }

func brokenLimiters(fault string) func(testing.TB) middleware.Limiter {
	c := newCounter(fault)
	if fault == "has data of its own" {
		return func(testing.TB) middleware.Limiter { return newCounter("") }
	}
	return func(testing.TB) middleware.Limiter { return c }
}

func (c *counter) is(fault string) bool { return c.fault == fault }

func (c *counter) key(key string) string {
	switch {
	case c.is("has one share for all"):
		return ""
	case c.is("compares keys without capitals"):
		return strings.ToLower(key)
	case c.is("ends keys at a NUL byte"):
		key, _, _ = strings.Cut(key, "\x00")
	case c.is("keeps 64 bytes of a key"):
		return key[:min(64, len(key))]
	case c.is("trims keys"):
		return strings.TrimSpace(key)
	}
	return key
}

func (c *counter) Allow(ctx context.Context, key string) (time.Duration, error) {
	if ctx.Err() != nil {
		switch {
		case c.is("does not return if the context has ended"):
			<-time.After(time.Hour)
		case c.is("returns a negative time if the context has ended"):
			return -1, nil
		}
		return 0, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key = c.key(key)
	w := c.of[key]
	if !time.Now().Before(w.ends) {
		w = window{ends: time.Now().Add(2 * time.Second)}
	}
	if c.is("looks, and takes later") {
		c.mu.Unlock()
		<-time.After(time.Millisecond)
		c.mu.Lock()
	}
	wait := time.Until(w.ends)
	switch {
	case c.is("admits everything"):
		return 0, nil
	case c.is("admits nothing"):
		return wait, nil
	case w.count < 5:
		w.count++
		c.of[key] = w
		return 0, nil
	case c.is("returns a negative time"):
		return -wait, nil
	case c.is("says 9 s"):
		c.of[key] = window{ends: time.Now()}
		return 9 * time.Second, nil
	case c.is("says half the time"):
		return wait / 2, nil
	case c.is("takes from the share when it refuses"):
		w.ends = w.ends.Add(time.Second)
		c.of[key] = w
		return time.Until(w.ends), nil
	}
	return wait, nil
}
