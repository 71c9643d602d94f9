// Package unixnano counts time in Unix nanoseconds, also for times that an int64 cannot hold.
package unixnano

import (
	"math"
	"time"
)

// Of returns t.UnixNano, or the nearest that an int64 holds: an end may be kept until the year 9999.
func Of(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
