package main

import (
	"context"
	"net/http"

	"github.com/gorilla/websocket"
)

func gorillaHandler(_ context.Context, s settings) (http.Handler, error) {
	up := &websocket.Upgrader{EnableCompression: s.deflate}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer c.Close()
		c.SetReadLimit(messageLimit)
		for {
			kind, message, err := c.ReadMessage()
			if err == nil {
				err = c.WriteMessage(kind, message)
			}
			if err != nil {
				s.ended(err)
				return
			}
		}
	}), nil
}
