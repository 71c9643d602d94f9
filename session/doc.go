// Package session keeps cookie sessions in any scs store, for ordinary requests and
// for WebSockets that stay bound to the session that opened them.
//
// [Manager.Handler] loads the session of a request and saves what the handler
// changed before the first byte of the response. A WebSocket handshake only loads:
// nothing is written when it begins, while the socket lives, or when it ends.
// The Manager is an ambient [middleware.Authenticator], with or without Handler in
// front of it.
//
// # The cookie
//
// `__Host-session`, Secure, HttpOnly, Path=/, no Domain, SameSite=Strict, no Max-Age
// (RFC 6265bis §4.1.3.2; ASVS 3.3.1-3.3.5). There are no fields that weaken it, but
// for SameSiteLax and for Dev. The value is 256 random bits; the store sees their
// SHA-256 only, which is also the handle in [middleware.Principal].
//
// # Time-outs
//
// A session ends after Idle without a request and after Absolute in any case (ASVS
// 7.3.1, 7.3.2). To keep reads cheap the idle time-out is extended once a minute, or
// once in a tenth of Idle if that is shorter: a session may end that much early,
// never late.
//
// A live socket carries the absolute end in its principal. The idle time-out reaches
// it by ws.Config.Revalidate: with Manager.Alive the socket ends with the session and
// its own traffic extends nothing; with Manager.Touch every recheck extends the
// session, so an open socket keeps it alive, up to the absolute end, if
// ws.Timeouts.Recheck is well below Idle.
//
// # Ending sessions
//
// Whatever ends a session publishes a [middleware.Revocation] before it deletes the
// record, and every load asks the revocations. A racing request that writes the
// record back brings nothing back: it is dead in every later read, and its writer
// deletes it again.
//
// # Why not scs.SessionManager
//
// The package uses the stores of scs, not its SessionManager: with an idle time-out
// that one marks every load as modified and commits the copy it read when the
// handler ends, hours after the logout for a hijacked connection; it commits inside
// Write, when the handler believes that it has answered; it panics where there is no
// session in the context; and its gob codec takes nine tenths of its time.
package session
