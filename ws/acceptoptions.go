//go:build !js

package ws

import (
	"context"

	"github.com/coder/websocket"
)

// acceptOptions are the same for all connections.
var acceptOptions = &websocket.AcceptOptions{
	InsecureSkipVerify: true, // Config.Origins has decided
	CompressionMode:    websocket.CompressionDisabled,
	OnPingReceived: func(ctx context.Context, p []byte) bool {
		if c, ok := ctx.Value(readContextKey{}).(*Conn); ok {
			_ = c.writeFrame(opPong, p)
		}
		return false // ours is the answer
	},
}
