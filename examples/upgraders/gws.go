package main

import (
	"context"
	"net/http"

	"github.com/lxzan/gws"
)

func gwsHandler(_ context.Context, s settings) (http.Handler, error) {
	up := gws.NewUpgrader(&gwsEvents{ended: s.ended}, &gws.ServerOption{
		PermessageDeflate:  gws.PermessageDeflate{Enabled: s.deflate},
		ReadMaxPayloadSize: messageLimit,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return // it has answered
		}
		go c.ReadLoop() // the socket outlives its request
	}), nil
}

type gwsEvents struct {
	gws.BuiltinEventHandler
	ended func(error)
}

func (*gwsEvents) OnMessage(c *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = c.WriteMessage(message.Opcode, message.Bytes())
}

func (e *gwsEvents) OnClose(_ *gws.Conn, err error) { e.ended(err) }
