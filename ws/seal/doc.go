// Package seal encrypts the payload of WebSocket messages between a client and the
// server that serves it, inside the TLS that both speak: HPKE (RFC 9180) agrees on
// keys, AES-GCM seals each message, and both ends know that nothing was left out.
//
// It protects against whoever handles the frames between the two ends of TLS and the
// two ends of the application, and only reads along, or changes what it likes where
// the client holds a pinned key: a proxy or CDN that ends TLS and logs bodies, a relay,
// a debugging tap behind them. Such a one learns the lengths and times of messages and
// which of the two keys changes when, and nothing else; whatever it changes, leaves
// out, repeats, moves or brings from elsewhere ends the connection.
//
// It does not protect a page against whoever serves that page: the script and the key
// come from there, and a CDN that is willing to change them reads everything. A native
// client with a pinned key ([ParsePublicKey]) is safe from that as well. It does not
// hide who talks to whom, how much and when. It does not prove to the server who the
// client is: that is the credential's part, and who ends TLS sees the credential and can
// open a sealed connection of his own with it. A [PSK] shuts him out. Who gets a
// server's private key reads what was sent under it, in the past too: keys are to be
// rotated, and destroyed. And it is no reason for ws://.
//
// A [Server] wraps the Serve of a [ws.Handler], a [Client] any connection that has the
// methods of [Messages]: those of ws.Conn, of the reconnecting client, and by [Dialed]
// of coder's. Both end in the same [Conn]. Its subprotocol is "hpke1." and the
// application's; a client whose [Policy] is the zero value closes if anything else was
// negotiated. The wire format is in testdata/vectors.json, with every intermediate value.
package seal
