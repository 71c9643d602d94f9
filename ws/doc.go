// Package ws ends a chain of HTTP layers in a WebSocket that stays bound to the
// credential that opened it until its last byte.
//
// [New] compiles a [Config] into a [Handler]. The handler refuses while a request
// is still HTTP, cheapest and least revealing check first: TLS, handshake, host,
// origin, subprotocol, capacity, credential, revocation, authorisation. Then it
// upgrades and returns; one goroutine runs Config.Serve with a [Conn] that lives no
// longer than that call.
//
// Every ending is a [CloseError]: the word the peer reads in the close frame, the
// error Serve gets from its reads and writes and from context.Cause, and the word
// in the log are the same value.
//
// A [Group] sends one message to many connections. Its members leave when they end.
//
// The handshake and the frame reader are those of github.com/coder/websocket. What
// its interface does not show (frames, control frames, deadlines) is watched on the
// hijacked connection, and frames are written from here, one write each.
package ws
