// Package redial is a WebSocket client that reconnects: [New] compiles a [Config] into a
// [Client], and [Client.Run] keeps one connection open for as long as its context lives,
// with a new credential for every dial. It speaks RFC 6455 with any server, and respects
// the close codes and refusals of securews servers.
//
// # Reconnecting
//
// After a lost connection, and after the codes that [ws.CloseError.Retryable] lists, it
// dials again after a random part of a window that doubles (full jitter, [Backoff]). A
// connection counts as a success only once it has lived for Timeouts.Stable, so a server
// that accepts and closes is not dialed in a tight loop. After `expired`, `reauth` and a
// 401 it tries a new credential, once: a second refusal in a row ends Run, unless it is a 401
// with Retry-After, which says that a later credential may be good. Every other code
// and a 403 end it at once. Redirects are never followed.
//
// A credential with a known expiry is replaced in advance: the next connection is opened
// beside the old one, and then the old one is closed. If that fails, it is tried again for
// as long as the old one lives.
//
// # Delivery
//
// Within a connection messages arrive once and in order, or not at all. WebSocket has no
// acknowledgements: a message written just before a connection broke may or may not have
// arrived, and is never sent again. While disconnected, [Client.Send] queues messages up to
// Limits.QueueMessages and Limits.QueueBytes, and refuses more; they are sent in order over
// the next connection. A message that was queued and not handed to the network completely
// is reported to Config.OnUndelivered. The application must ask for messages that a server
// sent while the client was disconnected.
package redial
