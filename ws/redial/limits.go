package redial

import (
	"errors"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/outqueue"
	"github.com/securews/securews/internal/setting"
)

// Limits bound memory. 0 is the default, a negative value an error.
type Limits struct {
	Message       int // bytes of one incoming message; default 1 MiB; beyond: 1009, which ends Run
	Outgoing      int // bytes of one message to send; default 65,536, unless the server names its limit; beyond: [ErrTooBig]
	QueueBytes    int // of messages that wait to be sent; default 1 MiB; beyond: [ErrQueueFull]
	QueueMessages int // default 1,024; beyond: [ErrQueueFull]
}

var defaultLimits = Limits{
	Message: 1 << 20, Outgoing: defaults.Message,
	QueueBytes: defaults.QueueBytes, QueueMessages: defaults.QueueMessages,
}

// queue returns how much may wait to be sent, and how much to be confirmed.
func (l *Limits) queue() outqueue.Load {
	return outqueue.Load{Messages: l.QueueMessages, Bytes: l.QueueBytes}
}

func (l *Limits) compile() error {
	d := defaultLimits
	return errors.Join(
		setting.Fill("redial", "Limits.Message", &l.Message, d.Message),
		setting.Fill("redial", "Limits.Outgoing", &l.Outgoing, d.Outgoing),
		setting.Fill("redial", "Limits.QueueBytes", &l.QueueBytes, d.QueueBytes),
		setting.Fill("redial", "Limits.QueueMessages", &l.QueueMessages, d.QueueMessages),
	)
}
