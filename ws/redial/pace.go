package redial

import (
	"sync"
	"time"
)

// longestHeader is the length of the longest header of a masked frame (RFC 6455 §5.2), which
// the server counts.
const longestHeader = 14

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
