// Package redial is a WebSocket client that comes back: [New] compiles a [Config]
// into a [Client], and [Client.Run] keeps one connection open for as long as its
// context lives, with a credential of its own for every dial. It speaks RFC 6455 to
// any server; what securews servers say in their close codes and refusals it heeds.
//
// # When it comes back
//
// After a lost connection and the codes that [ws.CloseError.Retryable] names it dials
// again, after a random part of a window that doubles (full jitter, [Backoff]). A
// connection counts as a success only once it has lived for Timeouts.Stable, so a
// server that accepts and closes is not dialed in a tight loop. `expired`, `reauth`
// and a 401 are answered with a new credential, once: a second refusal in a row ends
// Run. Every other code and a 403 end it at once. Redirects are never followed.
//
// A credential that says when it expires is replaced before: the next connection is
// opened beside the old one, and then the old one is closed. If that fails, it is
// tried again for as long as the old one lives.
//
// # What is delivered
//
// Within a connection messages arrive once and in order, or not at all: WebSocket
// acknowledges nothing, so what was written just before a connection broke may or
// may not have arrived, and is never sent again. [Client.Send] keeps messages while
// there is no connection, up to Limits.QueueMessages and Limits.QueueBytes, and
// refuses more; they leave in order over the next connection. Whatever it took and
// did not hand to the network whole is reported to Config.OnUndelivered. What a
// server sends while there is no connection is the application's to ask for again.
package redial
