package main

import (
	"context"
	"net/http"

	"github.com/olahol/melody"
)

func melodyHandler(ctx context.Context, s settings) (http.Handler, error) {
	m := melody.New()
	context.AfterFunc(ctx, func() { _ = m.Close() })
	m.Config.MaxMessageSize = messageLimit
	m.Upgrader.EnableCompression = s.deflate
	m.HandleMessage(func(c *melody.Session, message []byte) { _ = c.Write(message) })
	m.HandleMessageBinary(func(c *melody.Session, message []byte) { _ = c.WriteBinary(message) })
	const last = "last error"
	m.HandleError(func(c *melody.Session, err error) { c.Set(last, err) })
	m.HandleDisconnect(func(c *melody.Session) {
		err, _ := c.Get(last)
		told, _ := err.(error)
		s.ended(told)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = m.HandleRequest(w, r) // if it fails, it has answered
	}), nil
}
