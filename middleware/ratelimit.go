package middleware

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/securews/securews/internal/bounded"
)

// Limiter decides for each key whether one more event is within the limit. An
// implementation on a store lets several nodes share one limit. It is safe for
// concurrent use. A call that takes longer than 1 s is given up, and the request is refused
// with 503; a panic refuses it with 500. Package storetest tests implementations.
type Limiter interface {
	// Allow takes one event from the key's share. It returns zero if there was one left,
	// otherwise the time until the next. An error means that the answer is not
	// known: the request is refused.
	Allow(ctx context.Context, key string) (retryAfter time.Duration, err error)
}

// RateLimitConfig is a rate, and the key that requests are counted by.
type RateLimitConfig struct {
	_ [0]func()

	// Events is how many requests are admitted in each Per, by a token bucket for every
	// key. It is required, unless there is a Limiter; a zero Per is one second. A negative value
	// of these two, Burst or MaxKeys is an error.
	Events int
	Per    time.Duration

	// Burst is how many a key that was idle may have at once; zero: Events.
	Burst int

	// Key returns the key whose share a request uses; nil: the client's address, IPv6 by its
	// /64, because one client has all addresses of it. All clients of an IPv6 /48 together have
	// sixteen times the share of one. Requests with the key "" share one bucket, as do clients
	// whose address is unknown. It is called concurrently.
	Key func(r *http.Request) string

	// Proxies finds the client's address; nil: the innermost [Proxies] around,
	// or else the peer of the connection.
	Proxies *Proxies

	// MaxKeys bounds the buckets in memory, some 200 bytes each; zero: 65,536. There may be as
	// many again for IPv6 networks of /48. At the bound, a bucket that is full again is given to
	// a new key, which costs the old key nothing. If none is found, all new keys share one bucket
	// of the same rate until one is full. An attacker who floods the table slows new clients
	// down, but uses no more memory, and gains at most the shared bucket.
	MaxKeys int

	// Limiter replaces the buckets in memory, those of a /48 too. It has its own limits: Events,
	// Per, Burst and MaxKeys must then be zero. While it fails, requests are refused with 503.
	Limiter Limiter
}

// RateLimit refuses requests above a rate (ASVS 2.4.1). It is safe for concurrent
// use, and starts no goroutine. The zero value refuses every request.
type RateLimit struct {
	limiter Limiter
	calls   bounded.Caller // of limiter; direct: it is ours
	key     func(*http.Request) string

	addresses *addressBuckets // in place of both: by address
	proxies   *Proxies
}

const defaultMaxKeys = 65_536

// NewRateLimit returns a limit. Its error joins all that is wrong with the
// configuration.
func NewRateLimit(cfg RateLimitConfig) (*RateLimit, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	switch {
	case cfg.Limiter != nil:
		l := &RateLimit{limiter: cfg.Limiter, calls: bounded.NewCaller(cfg.Limiter), key: cfg.Key}
		if l.key == nil {
			l.key = func(r *http.Request) string { return addressKey(r, cfg.Proxies) }
		}
		return l, nil
	case cfg.Key != nil:
		return &RateLimit{limiter: cfg.buckets(1), key: cfg.Key}, nil
	}
	return &RateLimit{addresses: &addressBuckets{cfg.buckets(1), cfg.buckets(wideShare)}, proxies: cfg.Proxies}, nil
}

// buckets returns buckets with a multiple of the rate.
func (cfg *RateLimitConfig) buckets(times int) *buckets {
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
	return newBuckets(float64(times)*float64(cfg.Events)/per.Seconds(), times*min(burst, math.MaxInt/times), maxKeys)
}

func (cfg *RateLimitConfig) validate() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: RateLimitConfig."+format, args...))
	}
	if cfg.Key != nil && cfg.Proxies != nil {
		fail("Proxies: it has no effect beside a Key: leave it out")
	}
	if cfg.Limiter != nil {
		if cfg.Events != 0 || cfg.Per != 0 || cfg.Burst != 0 || cfg.MaxKeys != 0 {
			fail("Limiter: it has limits of its own: leave Events, Per, Burst and MaxKeys out")
		}
		return errors.Join(errs...)
	}
	switch {
	case cfg.Events == 0:
		fail("Events: required")
	case cfg.Events < 0:
		fail("Events: %d is negative: write how many requests are admitted in each Per", cfg.Events)
	}
	if cfg.Per < 0 {
		fail("Per: %v is negative: write 0 for one second", cfg.Per)
	}
	if cfg.Burst < 0 {
		fail("Burst: %d is negative: write 0 for Events", cfg.Burst)
	}
	if cfg.MaxKeys < 0 {
		fail("MaxKeys: %d is negative: write 0 for %d", cfg.MaxKeys, defaultMaxKeys)
	}
	return errors.Join(errs...)
}

// Allow takes one event from the share of the request's key, or returns the
// [Refusal]: 429 `rate_limited` (RFC 6585 §4), with the whole seconds until the
// next event in Retry-After; 503 if the Limiter does not answer. If it panics, the error
// is not a Refusal, and the answer 500.
func (l *RateLimit) Allow(r *http.Request) error {
	wait, err := l.take(r)
	_, panicked := errors.AsType[*bounded.PanicError](err)
	switch {
	case panicked:
		return err
	case err != nil:
		return &Refusal{
			Status: http.StatusServiceUnavailable, Reason: ReasonUnavailable,
			Header: http.Header{"Retry-After": {"1"}},
			Err:    err,
		}
	case wait != 0: // a negative one breaks the contract: refuse
		return tooMany(wait)
	}
	return nil
}

func (l *RateLimit) take(r *http.Request) (wait time.Duration, err error) {
	switch {
	case l == nil || l.limiter == nil && l.addresses == nil:
		return time.Minute, nil // the zero RateLimit admits no request
	case l.limiter != nil && l.calls.Direct():
		return l.limiter.Allow(r.Context(), l.key(r))
	case l.limiter != nil:
		return l.takeBounded(r.Context(), l.key(r))
	case l.proxies != nil:
		return l.addresses.allow(l.proxies.ClientIP(r)), nil
	}
	return l.addresses.allow(ClientIP(r)), nil
}

// limiterTimeout bounds the wait for a Limiter in one request.
const limiterTimeout = time.Second

func (l *RateLimit) takeBounded(ctx context.Context, key string) (time.Duration, error) {
	ctx, cancel := bounded.WithTimeout(ctx, limiterTimeout)
	defer cancel()
	return bounded.Call(ctx, l.calls, "middleware: RateLimit", func() (time.Duration, error) { return l.limiter.Allow(ctx, key) })
}

var errRate = errors.New("middleware: RateLimit: RateLimitConfig.Events, or what its Limiter admits, is used up")

// tooMany has one Refusal for each short wait: a client chooses how often it is refused.
func tooMany(wait time.Duration) *Refusal {
	seconds := int64(wait / time.Second)
	if wait%time.Second > 0 {
		seconds++
	}
	if seconds = max(seconds, 1); seconds < int64(len(shortWaits)) {
		return shortWaits[seconds]
	}
	return retryAfter(seconds)
}

var shortWaits = func() (list [61]*Refusal) {
	for seconds := range list {
		list[seconds] = retryAfter(int64(seconds))
	}
	return list
}()

func retryAfter(seconds int64) *Refusal {
	return &Refusal{
		Status: http.StatusTooManyRequests, Reason: ReasonRateLimited,
		Header: http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}},
		Err:    errRate,
	}
}

// Handler admits a request, or refuses it.
func (l *RateLimit) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := l.Allow(r); err != nil {
			Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
