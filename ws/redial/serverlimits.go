package redial

import (
	"net/http"
	"strconv"
	"strings"
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
