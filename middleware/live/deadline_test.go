package live

import "testing"

func TestNext(t *testing.T) {
	const now = 100
	tests := []struct {
		sentence string
		t        times
		due      int64
		cause    *Cause
	}{
		{sentence: "without any deadline there is none"},
		{
			sentence: "the first of several deadlines is due",
			t:        times{expires: 500, stale: 400, recheck: 300, drain: 200, maxAge: 600}, due: 200,
		},
		{
			sentence: "the order of the fields does not matter",
			t:        times{expires: 150, stale: 400, recheck: 300, drain: 200, maxAge: 600}, due: 150,
		},
		{sentence: "a deadline that is not set does not count", t: times{stale: 400, recheck: 300}, due: 300},
		{sentence: "the oldest age alone", t: times{maxAge: 600}, due: 600},
		{sentence: "one before the end of the credential, nothing ends", t: times{expires: now + 1}, due: now + 1},
		{sentence: "at the end of the credential it has expired", t: times{expires: now}, cause: Expired},
		{sentence: "after the end of the credential it has expired", t: times{expires: 1}, cause: Expired},
		{sentence: "at the end of the last good answer: later", t: times{stale: now}, cause: Later},
		{sentence: "one before it, nothing ends", t: times{stale: now + 1}, due: now + 1},
		{sentence: "in its turn of a shutdown: restart", t: times{drain: now}, cause: Restart},
		{sentence: "before its turn of a shutdown, nothing ends", t: times{drain: now + 1}, due: now + 1},
		{sentence: "at the oldest age: reauth", t: times{maxAge: now}, cause: Reauth},
		{sentence: "before it, nothing ends", t: times{maxAge: now + 1}, due: now + 1},
		{sentence: "a recheck that is due is no end", t: times{recheck: now, maxAge: 600}, due: now},
		{
			sentence: "an expired credential comes before every other cause",
			t:        times{expires: now, stale: now, drain: now, maxAge: now}, cause: Expired,
		},
		{sentence: "a stale answer comes before a shutdown", t: times{expires: 500, stale: now, drain: now, maxAge: now}, cause: Later},
		{sentence: "a shutdown comes before the oldest age", t: times{expires: 500, drain: now, maxAge: now}, cause: Restart},
		{sentence: "a deadline that is due comes before one that is not", t: times{expires: now + 1, maxAge: now}, cause: Reauth},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			due, cause := next(now, tt.t)
			if due != tt.due || cause != tt.cause {
				t.Errorf("due %d, cause %v; want %d, %v", due, cause, tt.due, tt.cause)
			}
		})
	}
}

// Every combination of deadlines before, at and after now has a cause or a due time, never
// both.
func TestNextNeverReturnsBoth(t *testing.T) {
	at := []int64{0, 99, 100, 101}
	for n := range 4 * 4 * 4 * 4 * 4 {
		x := times{expires: at[n%4], stale: at[n/4%4], recheck: at[n/16%4], drain: at[n/64%4], maxAge: at[n/256%4]}
		due, cause := next(100, x)
		ended := past(x.expires, 100) || past(x.stale, 100) || past(x.drain, 100) || past(x.maxAge, 100)
		if ended != (cause != nil) || cause != nil && due != 0 {
			t.Fatalf("%+v: due %d, cause %v", x, due, cause)
		}
		if cause == nil && due == 0 && x != (times{}) {
			t.Fatalf("%+v: never due", x)
		}
	}
}
