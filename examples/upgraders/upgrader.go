package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
)

// upgrader is a WebSocket library behind the layer: its handler accepts a socket and sends
// back each message.
type upgrader struct {
	path, name string // path is also the route: GET path
	echo       http.Handler

	// A library with a protocol of its own over the messages: the page sends hello first,
	// and then each message in template, whose %s is to be replaced by the message as JSON.
	// The answer contains it in the same way. Both are empty for the others.
	hello, template string
}

// library makes the handler of an upgrader. Its goroutines end with ctx.
type library struct {
	upgrader
	deflates bool // it can negotiate permessage-deflate (RFC 7692)
	handler  func(ctx context.Context, s settings) (http.Handler, error)
}

type settings struct {
	deflate bool
	ended   func(error) // called once for each socket, with the error that the library reports
}

// messageLimit bounds a message, in bytes.
const messageLimit = 1 << 20

// libraries are in the order in which the page shows them.
var libraries = []library{
	{upgrader{path: "/nhooyr", name: "nhooyr.io/websocket"}, true, nhooyrHandler},
	{upgrader{path: "/coder", name: "coder/websocket"}, true, coderHandler},
	{upgrader{path: "/gorilla", name: "gorilla/websocket"}, true, gorillaHandler},
	{upgrader{path: "/gws", name: "lxzan/gws"}, true, gwsHandler},
	{upgrader{path: "/gobwas", name: "gobwas/ws"}, true, gobwasHandler},
	{upgrader{path: "/melody", name: "olahol/melody"}, true, melodyHandler},
	{upgrader{path: "/xnet", name: "golang.org/x/net/websocket"}, false, xnetHandler},
	{upgrader{
		path: "/centrifuge", name: "centrifugal/centrifuge",
		hello: `{"id":1,"connect":{}}`, template: `{"id":2,"rpc":{"data":%s}}`,
	}, true, centrifugeHandler},
}

// upgraders makes the upgraders of the page, with compression if the library has it, and
// logs the error that each library reports at the end of a socket. ctx ends their goroutines.
func upgraders(ctx context.Context) ([]upgrader, error) {
	made := make([]upgrader, 0, len(libraries))
	for _, l := range libraries {
		h, err := l.handler(ctx, settings{l.deflates, func(err error) {
			slog.Info("the library's socket has ended", "library", l.name, "told", err)
		}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		l.echo = h
		made = append(made, l.upgrader)
	}
	return made, nil
}
