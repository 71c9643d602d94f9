package ws

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// A script can neither send a ping nor read the 101. The page's client, package browser, asks
// for both in messages of text, by a parameter at the end of the query: `securews=` and a number
// that it draws for each connection. The first message of such a connection is the parameter, a
// space and Limits.Message in decimal. The client then sends the parameter as a ping, and gets it
// back after the messages before it were read. Serve sees neither.
//
// No other peer knows the number, so that no message of the application is taken for one of
// these, not even one that a server passes on from an attacker.
const (
	pulsePrefix      = "securews="
	shortestPulse    = len(pulsePrefix) + 8
	longestPulse     = len(pulsePrefix) + 40
	longestGreeting  = longestPulse + 1 + 20
	decimalsOfPulses = "0123456789"
)

// pulseOf returns the parameter of the page's client; "" if the client is another one, or if its
// pings would be beyond the limit of a message.
func pulseOf(r *http.Request, limit int) string {
	query := r.URL.RawQuery
	pulse := query[strings.LastIndexByte(query, '&')+1:]
	number, found := strings.CutPrefix(pulse, pulsePrefix)
	if !found || len(pulse) < shortestPulse || len(pulse) > min(longestPulse, limit) || strings.Trim(number, decimalsOfPulses) != "" {
		return ""
	}
	return strings.Clone(pulse) // the rest of the request is not kept
}

// greetPage names the limit. An error has ended the connection.
func (c *Conn) greetPage() {
	if c.pulse != "" {
		b := make([]byte, 0, longestGreeting)
		b = append(append(b, c.pulse...), ' ')
		c.writeUncounted(strconv.AppendInt(b, int64(c.rules.limits.Message), 10))
	}
}

// isPulse reports whether a message is a ping of the page's client.
func (c *Conn) isPulse(typ websocket.MessageType, p []byte) bool {
	return c.pulse != "" && typ == websocket.MessageText && string(p) == c.pulse
}

// answerPulse answers a ping. To all bounds it is a ping of RFC 6455 and no message.
func (c *Conn) answerPulse(ping []byte) *CloseError {
	if !c.in.guard.controls.take(c.now()) {
		return ErrRate
	}
	c.writeUncounted(ping)
	return nil
}

// writeUncounted writes a text frame that is not counted as a message.
func (c *Conn) writeUncounted(text []byte) { _ = c.out.writeFrame(opText, text, 0) }
