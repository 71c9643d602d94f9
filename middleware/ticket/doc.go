// Package ticket lets a page open a WebSocket with a credential that a browser cannot put
// on a handshake, or should not: the page trades its credential, over an ordinary POST,
// for a ticket that opens one socket within seconds (ASVS 4.4.3, 4.4.4, 10.1.1).
//
// [Tickets.Issue] returns the handler of that POST, authenticated by Config.Auth. It answers:
//
//	{"ticket":"…","cid":"…","expires_in":30,"refresh_after":240,"subprotocol":"ticket.…"}
//
// subprotocol is the ticket as the page offers it, beside a real subprotocol. expires_in
// is how many seconds the ticket is good for. refresh_after is the number of seconds after
// which the page should return with a new ticket, because the credential behind it ends;
// 0: it does not end by itself. cid is the id that the connection will have.
//
// A [Tickets] is also the middleware.Authenticator that accepts them:
//
//	new WebSocket("wss://app.example/ws", ["chat", answer.subprotocol])
//
// or as ?ticket= in the query if a client cannot name subprotocols; never both, and never
// twice.
//
// A ticket is 256 random bits. The store has its SHA-256 and, under it, the principal, the
// origin and the path that it is good for. It is consumed in the store before anything is
// compared, so a ticket presented in an invalid request is also consumed. ws.Handler
// consumes it too (middleware.Auth.Consume) if it refuses an invalid request before
// authentication: a plain request, one without TLS, one of an origin that is not on its
// list, or one without a subprotocol of the route. A valid handshake that comes while the
// handler is full or drains leaves the ticket good. So does a request that an outer layer
// refuses or redirects, and an invalid request while 256 others wait for the store.
//
// The connection ends when the credential behind the ticket does: Expires, IssuedAt and
// the handles for revocation are that credential's, and Config.Auth is asked about it when
// the ticket is presented and afterwards. If the credential is bound to a client certificate
// (RFC 8705 §3), so is the ticket.
//
// # The route of the socket
//
// The Auth of that route lists the Tickets, and bearer tokens for native clients if there
// are any, but not the sessions:
//
//	route, err := middleware.NewAuth(tickets, tokens)
//
// A browser sends the session's cookie automatically; a ticket beside it would be a second
// credential, and two are refused. A page on the socket's own host that has a session does
// not need a ticket: the cookie and its exact Origin are enough.
//
// # Access for other layers
//
// middleware.Auth and ws.Handler strip the ticket from header and query before they pass
// the request on. A logger in an outer layer that writes queries or headers must stand
// inside middleware.Auth.Strip; middleware.AccessLog writes neither. A handshake is
// stripped on every path. Another request, such as one from the address bar, is stripped if
// its path is or ends in that of the route, so that Strip may stand outside an
// http.StripPrefix.
package ticket
