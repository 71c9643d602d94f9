// Package seal encrypts the payload of WebSocket messages between a client and a server,
// inside TLS: HPKE (RFC 9180) agrees on keys, AES-GCM seals each message, and both ends
// detect missing messages.
//
// # Protection
//
// It protects against parties between the end of TLS and the end of the application: a
// proxy or CDN that terminates TLS and logs bodies, a relay, a debugging tap behind them.
// They may only read or, if the client has a pinned key, also change the frames. They learn
// the lengths and times of messages and when each key is updated, and nothing else. Any
// frame that is changed, dropped, repeated, reordered or inserted ends the connection.
//
// # Limits
//
// It does not protect a page against the host that serves the page: a CDN that changes the
// script or the key reads everything. A native client with a pinned key ([ParsePublicKey])
// is safe from that as well. It does not hide the parties, the number and the times of
// messages. It does not authenticate the client, which is the purpose of the credential; a
// party that terminates TLS sees the credential and can open its own sealed connection with
// it, unless there is a [PSK]. The holder of a server's private key can read everything that
// was ever sent under it, so keys must be rotated and destroyed. It does not replace wss://.
//
// # Use
//
// [Server.Seal] seals a route of package ws. A [Client] wraps any connection
// with the methods of [Messages]: a ws.Conn, a redial.Conn, or one of coder/websocket by
// [Dialed]. Both result in a [Conn]. The subprotocol is "hpke1." and that of the
// application; a client with the zero [Policy] closes the connection if another one was
// negotiated. The wire format is in testdata/vectors.json, with every intermediate value.
package seal
