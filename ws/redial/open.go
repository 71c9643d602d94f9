//go:build !js

package redial

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

func open(ctx context.Context, hs *handshake, client *http.Client) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, hs.url, &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: hs.header, Subprotocols: hs.subprotocols, CompressionMode: websocket.CompressionDisabled,
	})
}
