package outqueue

// Load is how much waits, or how much may wait at most. It is not safe for concurrent use.
type Load struct {
	Messages int
	Bytes    int // of their payloads
}

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
