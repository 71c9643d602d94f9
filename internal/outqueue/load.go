package outqueue

// Load is how much waits, or how much may wait at most. It is not safe for concurrent use.
type Load struct {
	Messages int
	Bytes    int // of their payloads
}

// Goes reports whether the queue is still sent before a close frame with this code: it is if the
// connection ends in good order.
func Goes(code int) bool { return code == 1000 || code == 1001 || code == 1012 || code >= 4000 }

// Fits reports whether a message of so many bytes may wait, too.
func (l *Load) Fits(bytes int, most Load) bool {
	return l.Messages < most.Messages && bytes <= most.Bytes-l.Bytes
}

// Add counts a message.
func (l *Load) Add(bytes int) {
	l.Messages++
	l.Bytes += bytes
}

// Remove counts messages no longer.
func (l *Load) Remove(messages, bytes int) {
	l.Messages -= messages
	l.Bytes -= bytes
}
