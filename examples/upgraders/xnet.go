package main

import (
	"context"
	"net/http"

	"golang.org/x/net/websocket"
)

func xnetHandler(_ context.Context, s settings) (http.Handler, error) {
	type message struct {
		kind byte
		data []byte
	}
	messages := websocket.Codec{
		Marshal:   func(v any) ([]byte, byte, error) { return v.(message).data, v.(message).kind, nil },
		Unmarshal: func(data []byte, kind byte, v any) error { *v.(*message) = message{kind, data}; return nil },
	}
	return websocket.Server{Handler: func(c *websocket.Conn) {
		c.MaxPayloadBytes = messageLimit
		for {
			var m message
			err := messages.Receive(c, &m)
			if err == nil {
				err = messages.Send(c, m)
			}
			if err != nil {
				s.ended(err)
				return
			}
		}
	}}, nil
}
