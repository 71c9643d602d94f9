package main

import (
	"fmt"
	"io"
	"time"
)

// scenario prints what happens to its deployment. Its steps return an error if something does not hold.
type scenario struct {
	*deployment
	out    io.Writer
	others []*connection // of users who do not sign out: they are to stay open until a step says otherwise
}

func (s *scenario) introduce() {
	what := "on a redis-server of their own"
	if s.redis == nil {
		what = "on the Redis"
	}
	fmt.Fprintf(s.out, "Two nodes, A and B, %s at %s.\nIn front of them a reverse proxy, %s.\n", what, s.addr, s.origin)
}

// line prints an effect, and how long it took.
func (s *scenario) line(took time.Duration, format string, args ...any) {
	fmt.Fprintf(s.out, "%10s  %s\n", rounded(took), fmt.Sprintf(format, args...))
}

// note prints a line without a time.
func (s *scenario) note(format string, args ...any) {
	fmt.Fprintf(s.out, "%10s  %s\n", "", fmt.Sprintf(format, args...))
}

func rounded(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
