// Package interop tests this module with routers and WebSocket libraries of others: the layers
// in front of and behind github.com/go-chi/chi/v5, and connections of
// github.com/gorilla/websocket and golang.org/x/net/websocket. It is a module of its own, so
// that they are not dependencies of the module that it tests. The examples with chi are in
// examples/chirouter.
package interop
