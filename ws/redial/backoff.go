package redial

import (
	"errors"
	"time"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/setting"
)

// Backoff bounds the wait between two dials: a random time in [0, window]. The window
// starts at Min and doubles up to Max (full jitter). 0 is the default, a negative value an
// error.
type Backoff struct {
	Min time.Duration // first window; default 0.5 s
	Max time.Duration // last window; default 30 s

	// Spread is the first window after an open connection was lost, because all clients of
	// a failed server lose their connections at the same moment. Default 8 s: at most an
	// eighth of them return in any one second. At most Max.
	Spread time.Duration

	// RetryAfter caps a server's Retry-After (RFC 9110 §10.2.3); the random time is added
	// to it. Default 5 min.
	RetryAfter time.Duration
}

var defaultBackoff = Backoff{
	Min: defaults.FirstDelay, Max: defaults.LastDelay, Spread: defaults.Spread, RetryAfter: defaults.RetryAfter,
}

func (b *Backoff) compile() error {
	d := defaultBackoff
	err := errors.Join(
		setting.Fill("redial", "Backoff.Min", &b.Min, d.Min),
		setting.Fill("redial", "Backoff.Max", &b.Max, max(d.Max, b.Min)),
		setting.Fill("redial", "Backoff.RetryAfter", &b.RetryAfter, d.RetryAfter),
	)
	err = errors.Join(err, setting.Fill("redial", "Backoff.Spread", &b.Spread, min(d.Spread, max(b.Max, 0))))
	if err == nil && (b.Min > b.Max || b.Spread > b.Max) {
		err = wrong("Backoff: Max, %v, is less than Min, %v, or Spread, %v", b.Max, b.Min, b.Spread)
	}
	return err
}

// window returns the upper bound of the random delay after so many failures in a row.
func (b *Backoff) window(failures int) time.Duration {
	w := b.Min
	for range failures - 1 {
		if w >= b.Max/2 {
			return b.Max
		}
		w *= 2
	}
	return min(w, b.Max)
}
