// Package redial is a WebSocket client that reconnects: [New] compiles a [Config] into a
// [Client], and [Client.Run] keeps one connection open for as long as its context lives,
// with a new credential for every dial. It speaks RFC 6455 with any server, and respects
// the close codes and refusals of securews servers.
//
// # Reconnecting
//
// Run repeats these steps: it obtains a credential and dials, serves the connection, and
// reacts to the end of the connection or to the failure of the dial. There are three reactions:
//
//   - retry: Run dials again, after a random part of a window that doubles (full jitter,
//     [Backoff]). This follows a failure of the network, the codes that
//     [ws.CloseError.Retryable] and Config.RetryCodes list, and the HTTP responses that
//     [HandshakeError.Retryable] and Config.RetryStatuses list. The server's Retry-After is
//     respected.
//   - renew: the same with a new credential, once. This follows `expired`, `reauth` and a 401.
//     If the server refuses the new credential too, Run ends, unless the 401 has a Retry-After,
//     which says that a later credential may be good.
//   - stop: Run ends. This follows every other close code, and every other refusal by a
//     securews server, such as its 403.
//
// Only a connection that has lived for Timeouts.Stable resets the window, so a server that
// accepts and closes is not dialed in a tight loop. One that ends with `expired` after a second
// shows that its credential was accepted. Redirects are never followed.
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
// the next connection. Every queued message is either confirmed, because the server has
// answered a ping or a close frame after it, or reported once to Config.OnUndelivered: if it
// was not handed to the network completely, if the connection ended before it was confirmed,
// or if Run ended before it was sent. The application must ask for messages that a server sent
// while the client was disconnected.
//
// # Bounds
//
// Every message, queue and step has a bound, see [Limits] and [Timeouts]: a silent server is
// noticed after Timeouts.Heartbeat and Timeouts.Pong, and the closing handshake takes at most
// Timeouts.Close. Errors contain no credential of 8 bytes or more, fmt and log/slog print none,
// and [TicketQuery] alone puts one into a URL.
package redial
