package redial_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/redial"
)

func TestEveryDelayLiesInItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			r := start(t, nil, redial.Config{HTTPClient: &http.Client{Transport: &refusing{}}}, nil)
			time.Sleep(3 * time.Minute)
			r.stop()
			window := 500 * time.Millisecond
			for i, w := range r.phases(redial.Waiting) {
				if w.Delay < 0 || w.Delay > window {
					t.Fatalf("delay %d is %v, want within [0, %v]", i, w.Delay, window)
				}
				window = min(2*window, 30*time.Second)
			}
		}
	})
}

// Full jitter: the delays of many clients fill the window evenly, its start included.
func TestDelaysFillTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, tenth = 2000, 3 * time.Second
		var tenths [10]int
		for range clients {
			r := start(t, nil, redial.Config{
				HTTPClient: &http.Client{Transport: &refusing{}},
				Backoff:    redial.Backoff{Min: 10 * tenth},
			}, nil)
			synctest.Wait()
			tenths[min(9, r.phases(redial.Waiting)[0].Delay/tenth)]++
			r.stop()
		}
		t.Log("first delays by tenths of the window:", tenths)
		for _, n := range tenths {
			if n < clients/20 || n > clients/5 { // 100 and 400 where 200 ± 14 are expected
				t.Errorf("tenths %v: want %d each", tenths, clients/10)
			}
		}
	})
}

func TestOnlyAConnectionThatLivedResetsTheBackOff(t *testing.T) {
	delays := func(t *testing.T, lives time.Duration) (delays []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			_, s := server(t, ws.Config{Serve: lasting(lives, ws.ErrDraining)})
			r := start(t, s, redial.Config{Backoff: redial.Backoff{Spread: time.Second, Max: 24 * time.Hour}}, nil)
			for len(r.phases(redial.Waiting)) < 15 {
				time.Sleep(time.Minute)
			}
			r.stop()
			for _, w := range r.phases(redial.Waiting) {
				delays = append(delays, w.Delay)
			}
		})
		return delays
	}
	longest := time.Duration(0)
	for _, d := range delays(t, 9*time.Second) {
		longest = max(longest, d)
	}
	if longest < time.Minute { // of windows up to 2.3 h: all below has a chance of 1 in 10^14
		t.Errorf("connections of 9 s: no delay above %v", longest)
	}
	for _, d := range delays(t, 11*time.Second) {
		if d > time.Second {
			t.Errorf("connections of 11 s: delay %v, want at most Spread", d)
		}
	}
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	const jitter = 500 * time.Millisecond
	date := func(d time.Duration) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	}
	is := func(s string) func() string { return func() string { return s } }
	tests := map[string]struct {
		value func() string
		want  time.Duration
	}{
		"seconds":               {is("7"), 7 * time.Second},
		"none":                  {is(""), 0},
		"zero":                  {is("0"), 0},
		"negative":              {is("-7"), 0},
		"a fraction":            {is("1.5"), 0},
		"nonsense":              {is("soon"), 0},
		"a date":                {date(90 * time.Second), 90 * time.Second},
		"a date in the past":    {date(-time.Hour), 0},
		"a day":                 {is("86400"), 5 * time.Minute},
		"a date next year":      {date(365 * 24 * time.Hour), 5 * time.Minute},
		"more than 64 bits":     {is("99999999999999999999999"), 5 * time.Minute},
		"more than a Duration":  {is("18446744073709551615"), 5 * time.Minute},
		"with a sign and blank": {is("+ 3"), 0},
	}
	for name, tt := range tests {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, _ := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						answering(status, "Retry-After", tt.value()).ServeHTTP(w, r)
					}))
					r := start(t, s, redial.Config{}, nil)
					synctest.Wait()
					got := r.phases(redial.Waiting)[0].Delay
					r.stop()
					if got < tt.want || got > tt.want+jitter {
						t.Errorf("delay %v, want %v and up to %v", got, tt.want, jitter)
					}
				})
			})
		}
	}
}
