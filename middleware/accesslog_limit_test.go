package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

// answering answers with the reason in the path: for "-" it does not refuse, "down" is a server error.
var answering = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch reason := r.URL.Path[1:]; reason {
	case "-":
	case "down":
		middleware.Refuse(w, r, middleware.Unavailable(errors.New("redis")))
	default:
		middleware.Refuse(w, r, &middleware.Refusal{Status: 403, Reason: middleware.Reason(reason)})
	}
})

// Of the refusals of one reason, 100 are written at once and then 10 a second. None is lost
// without a trace: the next line has the number of those before it (ASVS 16.3.1).
func TestAccessLogLimitsRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := jsonLog(t)
		h := middleware.AccessLog(log)(answering)
		read := 0
		send := func(n int, reason string) (written int, suppressed []float64) {
			for range n {
				h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/"+reason))
			}
			all := lines()
			for _, line := range all[read:] {
				if s, ok := line["suppressed"].(float64); ok {
					suppressed = append(suppressed, s)
				}
			}
			written, read = len(all)-read, len(all)
			return written, suppressed
		}
		for i, tt := range []struct {
			wait       time.Duration
			n          int
			reason     string
			written    int
			suppressed string
		}{
			{wait: 0, n: 150, reason: "a", written: 100, suppressed: "[]"},
			{wait: 0, n: 1, reason: "b", written: 1, suppressed: "[]"}, // each reason has a share of its own
			{wait: 0, n: 300, reason: "-", written: 300, suppressed: "[]"},
			{wait: 0, n: 300, reason: "down", written: 100, suppressed: "[]"}, // a server error
			{wait: 99 * time.Millisecond, n: 1, reason: "a", written: 0, suppressed: "[]"},
			{wait: time.Millisecond, n: 3, reason: "a", written: 1, suppressed: "[51]"},
			{wait: time.Second, n: 20, reason: "a", written: 10, suppressed: "[2]"},
			{wait: time.Hour, n: 101, reason: "a", written: 100, suppressed: "[10]"},
		} {
			time.Sleep(tt.wait)
			written, suppressed := send(tt.n, tt.reason)
			if written != tt.written || fmt.Sprint(suppressed) != tt.suppressed {
				t.Errorf("%d: %d lines, suppressed %v; want %d, %s", i, written, suppressed, tt.written, tt.suppressed)
			}
		}
	})
}

// An application that makes up reasons without end does not fill the memory: beyond 128
// they share one limit.
func TestAccessLogLimitsReasonsWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, lines := jsonLog(t)
		h := middleware.AccessLog(log)(answering)
		for i := range 1000 {
			h.ServeHTTP(httptest.NewRecorder(), requestWith("GET", "/reason"+strconv.Itoa(i)))
		}
		if got := len(lines()); got != 128+100 {
			t.Errorf("%d lines, want 228", got)
		}
	})
}
