// Package ticket lets a page open a WebSocket with a credential that a browser cannot put
// on a handshake, or should not: it trades the credential it has, over an ordinary POST,
// for a ticket that opens one socket within seconds (ASVS 4.4.3, 4.4.4, 10.1.1).
//
// [Tickets.Issue] answers that POST behind any middleware.Auth:
//
//	{"ticket":"…","cid":"…","expires_in":30,"refresh_after":240,"subprotocol":"ticket.…"}
//
// subprotocol is the ticket as the page offers it, beside a real subprotocol. expires_in
// is how many seconds the ticket is good for. refresh_after is after how many seconds the
// page should come back with a new ticket, because the credential behind it ends; 0: it
// does not end by itself. cid is the id that the connection will have.
//
// A [Tickets] is also the middleware.Authenticator that redeems them:
//
//	new WebSocket("wss://app.example/ws", ["chat", answer.subprotocol])
//
// or as ?ticket= in the query where a client cannot name subprotocols; never both, and
// never twice.
//
// A ticket is 256 random bits. The store has its SHA-256, and beside it the principal, the
// origin and the path that it is good for. It is taken from the store before anything is
// compared: whoever presents it in the wrong place has used it up. ws.Handler has it used
// up (middleware.Auth.Spend), too, where it refuses what is no proper handshake of its
// route before it asks who that is from: a plain request, one in the clear, of an origin
// that is not on its list, or without a subprotocol that is spoken there. A handshake that
// it has no room for, or that comes while it drains, was right and leaves the ticket good;
// so does whatever a layer further out refuses or sends elsewhere, and a wrong request while
// 256 others wait for the store.
//
// The connection then ends when the credential behind the ticket does: Expires, IssuedAt
// and the handles for revocation are that credential's. Where it is bound to a client
// certificate (RFC 8705 §3), so is the ticket.
//
// # The route of the socket
//
// The Auth of that route lists the Tickets, and bearer tokens for native clients if there
// are any, but no session:
//
//	route, err := middleware.NewAuth(tickets, tokens)
//
// A browser sends the session's cookie unasked, a ticket beside it would be a second
// credential, and two are refused. A page on the socket's own host that has a session needs
// no ticket: the cookie and its exact Origin are enough.
//
// # What others see
//
// middleware.Auth and ws.Handler take the ticket out of header and query before they pass
// the request on. A logger further out that writes queries or headers must stand inside
// middleware.Auth.Strip; middleware.AccessLog writes neither. A handshake is stripped on
// whatever path; another request, such as one from the address bar, where its path is or
// ends in that of the route, so that Strip may stand outside an http.StripPrefix.
package ticket
