package ws

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/internal/setting"
)

// Limits bound what connections may use. 0 is the default, a negative value an
// error; "unlimited" does not exist. Under [SealedPrefix] Message and ByteBurst also have room for the 18
// bytes that sealing adds, and for the exchange of keys.
type Limits struct {
	Message           int // bytes of one incoming message; default 65,536; beyond: 1009
	Frames            int // frames of one incoming message; default 1,024; beyond: 1009
	MessagesPerSecond int // incoming, sustained; default 100; beyond: 1008 `rate`

	// MessageBurst is of incoming messages, at once: a client that comes back may send its whole
	// queue. Default 2 × MessagesPerSecond if that is set, else 1,224.
	MessageBurst int

	BytesPerSecond int // incoming, sustained; default a quarter of MessagesPerSecond × Message; beyond: 1008 `rate`
	ByteBurst      int // incoming, at once; default 4 × BytesPerSecond, at least 2 × Message; less than Message is an error

	// ControlPerSecond is of pings and pongs of the peer, and pings of package browser, sustained;
	// answers to our pings are not counted. Default 10, burst ten times that. Beyond: 1008 `rate`.
	ControlPerSecond int

	QueueBytes    int // bytes of messages that Send has queued and that are not yet written; default 1 MiB; beyond: 1013 `slow`
	QueueMessages int // the number of such messages; default 1,024; beyond: 1013 `slow`
}

// Timeouts bound how long things may take. 0 is the default, a negative value an
// error. They are kept with a resolution of a quarter of a second.
type Timeouts struct {
	Message time.Duration // from a message's first byte to its last, while Serve reads; default 30 s; beyond: 3008 `timeout`

	// FirstMessage is from the upgrade to the end of the first message. Default: none, for
	// connections that only listen. Beyond: 3008 `timeout`.
	FirstMessage time.Duration

	Write time.Duration // without progress of a write; default 10 s; beyond: cut, 1013 `slow`
	Idle  time.Duration // without a message either way; default: none, since a peer that answers pings is there; beyond: 3008 `idle`

	// Heartbeat is the silence of the peer before it is pinged, and the time from a ping to the next
	// while Serve does not read, less up to a fifth of jitter; a ping that takes a second to write:
	// 1013 `slow`. Default 25 s.
	Heartbeat time.Duration

	Pong  time.Duration // from the ping to any byte, while Serve reads; default 10 s; beyond: cut, 3008 `timeout`
	Close time.Duration // for the peer to answer a close frame; default 2 s; then TCP is cut
}

var (
	defaultLimits = Limits{
		Message: defaults.Message, Frames: 1024, MessagesPerSecond: defaults.MessagesPerSecond,
		ControlPerSecond: 10, QueueBytes: defaults.QueueBytes, QueueMessages: defaults.QueueMessages,
	}
	defaultTimeouts = Timeouts{
		Message: 30 * time.Second, Write: defaults.Write,
		Heartbeat: defaults.Heartbeat, Pong: defaults.Pong, Close: defaults.Close,
	}
)

func (l *Limits) compile() error {
	d := defaultLimits
	rated := l.MessagesPerSecond != 0
	perSecond := setting.Fill("ws", "Limits.MessagesPerSecond", &l.MessagesPerSecond, d.MessagesPerSecond)
	message := setting.Fill("ws", "Limits.Message", &l.Message, d.Message)
	d.MessageBurst = defaults.MessageBurst
	if rated {
		d.MessageBurst = 2 * min(l.MessagesPerSecond, math.MaxInt/2)
	}
	d.BytesPerSecond = max(1, product(max(1, l.MessagesPerSecond), max(1, l.Message))/4)
	bytes := setting.Fill("ws", "Limits.BytesPerSecond", &l.BytesPerSecond, d.BytesPerSecond)
	d.ByteBurst = max(product(4, max(1, l.BytesPerSecond)), product(2, max(1, l.Message)))
	errs := []error{
		message, perSecond, bytes,
		setting.Fill("ws", "Limits.Frames", &l.Frames, d.Frames),
		setting.Fill("ws", "Limits.MessageBurst", &l.MessageBurst, d.MessageBurst),
		setting.Fill("ws", "Limits.ByteBurst", &l.ByteBurst, d.ByteBurst),
		setting.Fill("ws", "Limits.ControlPerSecond", &l.ControlPerSecond, d.ControlPerSecond),
		setting.Fill("ws", "Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		setting.Fill("ws", "Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
	}
	if errors.Join(errs...) == nil && l.ByteBurst < l.Message {
		errs = append(errs, fmt.Errorf("ws: Limits.ByteBurst: %d is less than Limits.Message, %d: a message of that size could never come",
			l.ByteBurst, l.Message))
	}
	return errors.Join(errs...)
}

// named returns the limits of a client for the Securews-Limits header of the 101: bytes of one
// message, messages per second and at once, bytes per second and at once.
func (l *Limits) named() string {
	return fmt.Sprintf("message=%d, rate=%d, burst=%d, bytes=%d, byte-burst=%d",
		l.Message, l.MessagesPerSecond, l.MessageBurst, l.BytesPerSecond, l.ByteBurst)
}

// ofRecords returns the limits of a sealed connection, not yet compiled: the record of the largest
// message fits, at once if that may come at once, and so does the exchange of keys.
func (l Limits) ofRecords() Limits {
	message := l.Message
	if message == 0 {
		message = defaultLimits.Message
	}
	l.Message = max(min(message, math.MaxInt-defaults.SealedOverhead)+defaults.SealedOverhead, defaults.SealedHello)
	if l.ByteBurst >= message {
		l.ByteBurst = max(l.ByteBurst, l.Message)
	}
	return l
}

// queue returns how much may wait to be sent.
func (l *Limits) queue() outqueue.Load {
	return outqueue.Load{Messages: l.QueueMessages, Bytes: l.QueueBytes}
}

// product is a × b, or the largest int.
func product(a, b int) int {
	if a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	errs := []error{
		setting.Fill("ws", "Timeouts.Message", &t.Message, d.Message),
		setting.Fill("ws", "Timeouts.FirstMessage", &t.FirstMessage, 0),
		setting.Fill("ws", "Timeouts.Write", &t.Write, d.Write),
		setting.Fill("ws", "Timeouts.Idle", &t.Idle, 0),
		setting.Fill("ws", "Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		setting.Fill("ws", "Timeouts.Pong", &t.Pong, d.Pong),
		setting.Fill("ws", "Timeouts.Close", &t.Close, d.Close),
	}
	return errors.Join(errs...)
}
