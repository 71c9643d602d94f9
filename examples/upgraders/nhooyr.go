//lint:file-ignore SA1019 The library is deprecated for coder/websocket. Services that keep it are the subject.

package main

import (
	"context"
	"net/http"

	"nhooyr.io/websocket"
)

func nhooyrHandler(_ context.Context, s settings) (http.Handler, error) {
	options := &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled}
	if s.deflate {
		options.CompressionMode = websocket.CompressionContextTakeover
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, options)
		if err != nil {
			return // it has answered
		}
		defer c.CloseNow()
		c.SetReadLimit(messageLimit)
		for {
			kind, message, err := c.Read(r.Context())
			if err == nil {
				err = c.Write(r.Context(), kind, message)
			}
			if err != nil {
				s.ended(err)
				return
			}
		}
	}), nil
}
