package redial

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// serverLimits are the limits that a securews server names in the Securews-Limits header of its
// 101. 0 means that it names none.
type serverLimits struct {
	message          int // bytes
	rate, burst      int // messages per second, and at once
	bytes, byteBurst int // the same in bytes
}

// limitsOf parses `message=65536, rate=100, burst=1224, bytes=1638400, byte-burst=6553600`, and
// ignores members that it does not know.
func limitsOf(h http.Header) (l serverLimits) {
	for member := range strings.SplitSeq(h.Get("Securews-Limits"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch name {
		case "message":
			l.message = n
		case "rate":
			l.rate = n
		case "burst":
			l.burst = n
		case "bytes":
			l.bytes = n
		case "byte-burst":
			l.byteBurst = n
		}
	}
	return l
}

// sealedOverhead is the number of bytes by which a sealed message is longer.
const sealedOverhead = 18

// longestHeader is the length of the longest header of a masked frame (RFC 6455 §5.2), which
// the server counts.
const longestHeader = 14

// checkSize returns ErrTooBig if the server would close a connection because of a message of n
// bytes.
func checkSize(n, most int) error {
	if n > most {
		return fmt.Errorf("%w: %d bytes, want at most %d (Limits.Message of the server, or Limits.Outgoing)", ErrTooBig, n, most)
	}
	return nil
}

// pace spreads the messages of one connection, so that they stay within the server's rates.
type pace struct {
	mu              sync.Mutex
	messages, bytes tokens
}

func newPace(l serverLimits) *pace {
	return &pace{messages: newTokens(l.rate, l.burst), bytes: newTokens(l.bytes, l.byteBurst)}
}

// take counts a message and returns the time to wait before it is sent.
func (p *pace) take(bytes int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	return max(p.messages.take(now, 1), p.bytes.take(now, bytes+longestHeader))
}

// tokens is a token bucket. It is smaller than the server's by the events of one second,
// because the network may deliver these at once, but not by more than half.
type tokens struct {
	rate, burst float64
	left        float64
	since       time.Time
}

func newTokens(rate, burst int) tokens {
	least := max(float64(burst-rate), float64(burst)/2)
	return tokens{rate: float64(rate), burst: least, left: least, since: time.Now()}
}

func (t *tokens) take(now time.Time, n int) time.Duration {
	if t.rate == 0 || t.burst == 0 {
		return 0
	}
	t.left = min(t.burst, t.left+now.Sub(t.since).Seconds()*t.rate) - float64(n)
	t.since = now
	if t.left >= 0 {
		return 0
	}
	return time.Duration(-t.left / t.rate * float64(time.Second))
}
