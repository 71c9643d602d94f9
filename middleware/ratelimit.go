package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Limiter decides, for each key apart, whether one more event fits. An
// implementation on a store lets several nodes share one limit. It is safe for
// concurrent use.
type Limiter interface {
	// Allow takes one event from the key's share. Zero: there was one left;
	// otherwise how long it takes until the next. An error means that nobody
	// knows: the request is refused.
	Allow(ctx context.Context, key string) (retryAfter time.Duration, err error)
}

// RateLimitConfig says how often, and whom to tell apart.
type RateLimitConfig struct {
	_ [0]func()

	// Events are let through in each Per, by a token bucket for every key. Events
	// is required; a zero Per is one second.
	Events int
	Per    time.Duration

	// Burst is how many a key that was idle may have at once; zero: Events.
	Burst int

	// Key says whose share a request uses; nil: the client's address, IPv6 by its
	// /64, which is what one client holds. Requests with the key "" share one
	// bucket, as do clients whose address is unknown.
	Key func(r *http.Request) string

	// Proxies finds the client's address; nil: the innermost [Proxies] around,
	// or else the other end of the connection.
	Proxies *Proxies

	// MaxKeys bounds the buckets in memory, some 200 bytes each; zero: 65,536. At
	// the bound, a bucket that has filled up again makes room, which costs its
	// owner nothing. Where none is found, the keys that are new share one bucket of
	// the same rate until one has filled up. Whoever floods the table slows new
	// clients down, but takes no more memory, and gains at most what is in the
	// shared bucket.
	MaxKeys int

	// Limiter replaces the buckets in memory; the other limits are then its own
	// business, and an error here. While it fails, requests are refused with 503.
	Limiter Limiter
}

// RateLimit refuses requests above a rate (ASVS 2.4.1). It is safe for concurrent
// use, and starts no goroutine. The zero value refuses every request.
type RateLimit struct {
	limiter Limiter
	key     func(*http.Request) string
}

const defaultMaxKeys = 65_536

// NewRateLimit returns a limit, or reports everything that is wrong with the
// configuration.
func NewRateLimit(cfg RateLimitConfig) (*RateLimit, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &RateLimit{limiter: cfg.Limiter, key: cfg.Key}
	if l.key == nil {
		l.key = func(r *http.Request) string { return addressKey(r, cfg.Proxies) }
	}
	if l.limiter == nil {
		per, burst, maxKeys := cfg.Per, cfg.Burst, cfg.MaxKeys
		if per == 0 {
			per = time.Second
		}
		if burst == 0 {
			burst = cfg.Events
		}
		if maxKeys == 0 {
			maxKeys = defaultMaxKeys
		}
		l.limiter = newBuckets(float64(cfg.Events)/per.Seconds(), burst, maxKeys)
	}
	return l, nil
}

func (cfg *RateLimitConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: rate limit: "+format, args...))
	}
	if cfg.Key != nil && cfg.Proxies != nil {
		fail("Proxies has no effect beside a Key")
	}
	if cfg.Limiter != nil {
		if cfg.Events != 0 || cfg.Per != 0 || cfg.Burst != 0 || cfg.MaxKeys != 0 {
			fail("Events, Per, Burst and MaxKeys have no effect beside a Limiter")
		}
		return errors.Join(errs...)
	}
	switch {
	case cfg.Events == 0:
		fail("Events is required")
	case cfg.Events < 0:
		fail("Events: %d is negative", cfg.Events)
	}
	if cfg.Per < 0 {
		fail("Per: %v is negative", cfg.Per)
	}
	if cfg.Burst < 0 {
		fail("Burst: %d is negative", cfg.Burst)
	}
	if cfg.MaxKeys < 0 {
		fail("MaxKeys: %d is negative", cfg.MaxKeys)
	}
	return errors.Join(errs...)
}

// Allow takes one event from the share of the request's key, or returns the
// [Refusal]: 429 `rate_limited` (RFC 6585 §4), with the whole seconds until the
// next event in Retry-After.
func (l *RateLimit) Allow(r *http.Request) error {
	if l == nil || l.limiter == nil {
		return tooMany(time.Minute, errors.New("middleware: rate limit: the zero RateLimit lets nothing through"))
	}
	wait, err := l.limiter.Allow(r.Context(), l.key(r))
	switch {
	case err != nil:
		return &Refusal{
			Status: http.StatusServiceUnavailable, Reason: ReasonUnavailable,
			Header: http.Header{"Retry-After": {"1"}},
			Err:    fmt.Errorf("middleware: rate limit: %w", err),
		}
	case wait != 0: // a negative one breaks the contract: fail closed
		return tooMany(wait, nil)
	}
	return nil
}

func tooMany(wait time.Duration, cause error) *Refusal {
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	return &Refusal{
		Status: http.StatusTooManyRequests, Reason: ReasonRateLimited,
		Header: http.Header{"Retry-After": {strconv.FormatInt(max(seconds, 1), 10)}},
		Err:    cause,
	}
}

// Handler lets a request through, or refuses it.
func (l *RateLimit) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := l.Allow(r); err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
