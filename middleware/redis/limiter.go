package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/securews/securews/internal/setting"
	"github.com/securews/securews/middleware"
)

// Limit is one rate that all nodes share.
type Limit struct {
	_ [0]func()

	// Name tells the limits of a service apart: 1 to 64 bytes as in Config.Prefix. It is required.
	Name string

	// Events is how many events each key may have in each Per, by a token bucket. Events is
	// required, and at most a million a second. A zero Per is one second, a negative one an error.
	Events int
	Per    time.Duration

	// Burst is how many events a key that was idle may have at once. Zero is Events, a negative
	// value an error.
	Burst int
}

func (l *Limit) compile() error {
	var errs []error
	if l.Name == "" || !fitsInKeys(l.Name) {
		errs = append(errs, fmt.Errorf("redis: Limit.Name: %.80q is not 1 to %s", l.Name, keyText))
	}
	if l.Events <= 0 {
		errs = append(errs, fmt.Errorf("redis: Limit.Events: %d is not positive", l.Events))
	}
	errs = append(errs,
		setting.Fill("redis", "Limit.Per", &l.Per, time.Second),
		setting.Fill("redis", "Limit.Burst", &l.Burst, l.Events),
	)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if l.Per/time.Duration(l.Events) < time.Microsecond {
		return fmt.Errorf("redis: Limit.Events: %d in %v are more than a million a second", l.Events, l.Per)
	}
	return nil
}

// Limiter returns a limiter for middleware.RateLimitConfig.Limiter, or everything that is wrong with
// the limit. It goes by the clock of the server, and is safe for concurrent use.
func (s *Shared) Limiter(l Limit) (middleware.Limiter, error) {
	if err := l.compile(); err != nil {
		return nil, err
	}
	s = s.made()
	interval := (l.Per / time.Duration(l.Events)).Microseconds()
	return &limiter{
		client:    s.client,
		prefix:    s.cfg.Prefix + "limit:" + l.Name + ":",
		interval:  interval,
		tolerance: interval * int64(l.Burst-1),
	}, nil
}

type limiter struct {
	client              goredis.UniversalClient
	prefix              string
	interval, tolerance int64 // microseconds
}

// allowScript keeps for each key when its bucket is full again (the generic cell rate algorithm, ITU-T
// I.371): an event is admitted if that is at most the tolerance ahead. A clock that was set back
// locks no key out: a time further ahead than any event can bring it is not believed.
var allowScript = goredis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.max(now, math.min(full, now + tolerance + interval))
local wait = full - tolerance - now
if wait > 0 then return wait end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
`)

// Allow implements middleware.Limiter.
func (l *limiter) Allow(ctx context.Context, key string) (retryAfter time.Duration, err error) {
	sum := sha256.Sum256([]byte(key)) // a key of a client has any length
	wait, err := allowScript.Run(ctx, l.client, []string{l.prefix + base64.RawURLEncoding.EncodeToString(sum[:])},
		l.interval, l.tolerance).Int64()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}
