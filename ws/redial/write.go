package redial

import (
	"encoding/json"
	"fmt"

	"github.com/coder/websocket"
)

// Write sends a message and returns when the kernel has accepted it. After Timeouts.Write
// the connection is cut. It does not wait for the messages that Send has queued. After an
// error the message may or may not have arrived; it is not sent again and not reported to
// Config.OnUndelivered.
func (c *Conn) Write(typ websocket.MessageType, p []byte) error {
	if err := checkMessage(typ, p); err != nil {
		return err
	}
	if !c.out.sealed {
		c.out.pace.take(len(p)) // without a delay: the next queued message waits
	}
	_, err := c.out.write(typ, p)
	return err
}

// WriteJSON writes v as a text message.
func (c *Conn) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("redial: json: %w", err)
	}
	return c.Write(websocket.MessageText, p)
}
