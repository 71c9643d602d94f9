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
//
// # The states of a connection
//
//	request ──── a check fails ───▶ refused: an HTTP response, or with Config.ExplainRefusals
//	   │                            the upgrade and a close frame that says why
//	   │ every check passes
//	   ▼
//	entered in Config.Live under its principal
//	   │ no revocation came meanwhile, Authorize agrees, 101
//	   ▼
//	open ─────── Serve reads and writes; pings are sent and answered
//	   │
//	   │ the first cause of: Serve returns, Close, the peer closes, a bound is passed, a deadline,
//	   ▼ the credential ends, a shutdown, the network fails
//	ended ────── reads, writes and sends fail with the cause; the context ends; groups are left.
//	   │         After an end in good order (1000, 1001, 1012, 4000 to 4999) the queue of Send
//	   │         is still written, unless the credential is revoked meanwhile
//	   ▼
//	close frame  the last frame, once; not if the network has failed
//	   │ the peer answers ─────────▶ TCP is closed
//	   │ Timeouts.Close is over ───▶ TCP is cut; reset, if the peer is slow or its credential lost
//	   ▼
//	removed from Config.Live; one line in the log
//
// The last step waits for Serve to return: a Serve that ignores its context keeps its place in
// Config.Live until then, though TCP is cut in time.
//
// # Glossary
//
//   - cause: why a connection ends, a [CloseError]. The first one wins, except that the loss of the
//     credential replaces a cause after which the queue is still written.
//   - end: to give a connection its cause. Close: to write its close frame. Cut: to close TCP without
//     a further frame.
//   - refusal: the answer to a handshake that is not upgraded, a [middleware.Refusal]. A readable
//     refusal is an upgrade with a close frame, for pages, which cannot read HTTP responses to handshakes.
//   - principal: the authenticated user or service; the credential is its proof, such as a session's
//     cookie, a token or a ticket. To consume a credential is to use it up, as a ticket; to strip one is
//     to remove it from the request.
//   - binding: the entry of a connection in a [live.Registry], by which it ends with its credential.
//   - heartbeat: the ping after a silence of the peer. Pulse: the same of package browser, as a message,
//     because a script can send no ping.
//   - queue: the messages of [Conn.Send] and [Group.Send] of which no write has begun.
//   - seal: to encrypt the payload of messages, see package seal.
package ws
