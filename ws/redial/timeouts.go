package redial

import (
	"errors"
	"time"

	"github.com/securews/securews/internal/defaults"
	"github.com/securews/securews/internal/setting"
)

// Timeouts bound the steps of a connection. 0 is the default, a negative value an error.
type Timeouts struct {
	Dial      time.Duration // for the credential, and again for the handshake; default 10 s
	Write     time.Duration // of one message; default 10 s; beyond: the connection is cut
	Heartbeat time.Duration // silence of the server before it is pinged, less up to a fifth of jitter; default 25 s
	Pong      time.Duration // from the ping to any byte; default 10 s; beyond: cut, 3008 `timeout`
	Close     time.Duration // for the server to answer a close frame; default 2 s, at most 5 s; then TCP is cut
	Stable    time.Duration // age at which a connection counts as a success; default 10 s
}

var defaultTimeouts = Timeouts{
	Dial: defaults.Dial, Write: defaults.Write, Heartbeat: defaults.Heartbeat,
	Pong: defaults.Pong, Close: defaults.Close, Stable: defaults.Stable,
}

func (t *Timeouts) compile() error {
	d := defaultTimeouts
	err := errors.Join(
		setting.Fill("redial", "Timeouts.Dial", &t.Dial, d.Dial),
		setting.Fill("redial", "Timeouts.Write", &t.Write, d.Write),
		setting.Fill("redial", "Timeouts.Heartbeat", &t.Heartbeat, d.Heartbeat),
		setting.Fill("redial", "Timeouts.Pong", &t.Pong, d.Pong),
		setting.Fill("redial", "Timeouts.Close", &t.Close, d.Close),
		setting.Fill("redial", "Timeouts.Stable", &t.Stable, d.Stable),
	)
	if t.Close > 5*time.Second {
		err = errors.Join(err, wrong("Timeouts.Close: %v is more than 5s", t.Close))
	}
	return err
}
