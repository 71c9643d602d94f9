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
		if in, ok := ctx.Value(readContextKey{}).(*inbound); ok {
			in.pong(p)
		}
		return false // ours is the answer
	},
}
