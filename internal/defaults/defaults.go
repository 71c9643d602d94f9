// Package defaults is the one table of the defaults in which the server and its clients have
// to agree: ws, ws/redial, and ws/browser, whose sources a test compares with it.
package defaults

import "time"

const (
	// Message is the size in bytes of the largest message that a server accepts, and that a
	// client sends if the server names no other limit.
	Message = 64 << 10

	// QueueMessages and QueueBytes bound the messages that wait to be sent, on both sides.
	QueueMessages = 1024
	QueueBytes    = 1 << 20

	// MessagesPerSecond is the rate of messages that a server accepts from a client.
	MessagesPerSecond = 100

	// MessageBurst admits the whole queue of a client that comes back, and the messages of the
	// next two seconds.
	MessageBurst = QueueMessages + 2*MessagesPerSecond

	// SealedOverhead is the number of bytes by which the record of a message of package seal is
	// longer than the message, and SealedHello the size of the longest message of its exchange of keys.
	SealedOverhead = 2 + 16
	SealedHello    = 1140

	// Heartbeat is the silence after which a peer is asked, and Pong the time for its answer:
	// a dead path is noticed within 35 s.
	Heartbeat = 25 * time.Second
	Pong      = 10 * time.Second

	Write = 10 * time.Second // of one message
	Close = 2 * time.Second  // for the answer to a close frame

	// The rest concerns the clients.
	Dial       = 10 * time.Second // for the credential, and again for the handshake
	Stable     = 10 * time.Second // age at which a connection counts as a success
	FirstDelay = 500 * time.Millisecond
	LastDelay  = 30 * time.Second // the window of the delay before a dial doubles up to this
	Spread     = 8 * time.Second  // the window after an open connection was lost
	RetryAfter = 5 * time.Minute  // the longest that a server's Retry-After counts for
)
