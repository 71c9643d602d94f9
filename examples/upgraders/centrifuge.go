package main

import (
	"context"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"github.com/securews/securews/middleware"
)

// centrifugeHandler answers each RPC with its data. The protocol over the messages is the
// library's own; the user is the one that the layers in front have authenticated.
func centrifugeHandler(ctx context.Context, s settings) (http.Handler, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		p, _ := middleware.FromContext(ctx)
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: p.Subject}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnRPC(func(e centrifuge.RPCEvent, reply centrifuge.RPCCallback) {
			reply(centrifuge.RPCReply{Data: e.Data}, nil)
		})
		c.OnDisconnect(func(e centrifuge.DisconnectEvent) { s.ended(e.Disconnect) })
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = node.Shutdown(context.Background()) })
	return centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		Compression: s.deflate, CompressionLevel: 1, // 0 sends the messages as they are
		MessageSizeLimit: messageLimit,
	}), nil
}
