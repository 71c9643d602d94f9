// Package session keeps cookie sessions in any scs store, for ordinary requests and for
// WebSockets, which end with the session that opened them.
//
// [Manager.Handler] loads the session of a request and saves the changes of the handler
// before the first byte of the response. A WebSocket handshake only loads: it writes
// nothing, and neither does the connection. The Manager is an ambient
// [middleware.Revocable], with or without Handler in front of it.
//
// # The cookie
//
// `__Host-session`, Secure, HttpOnly, Path=/, without Domain and Max-Age, SameSite=Strict
// (RFC 6265bis §4.1.3.2; ASVS 3.3.1-3.3.5). Only Config.SameSiteLax, Config.Persistent,
// Config.DangerouslyEmbedded and Config.DangerouslyAllowLocalHTTP weaken it. The value is 256
// random bits; the store has only their SHA-256, which is also the SessionHandle in
// [middleware.Principal].
//
// # Time-outs
//
// A session ends after Idle without a request, and after Absolute in any case (ASVS
// 7.3.1, 7.3.2). To keep reads cheap the idle time-out is extended once a minute, or
// once in a tenth of Idle if that is shorter: a session may end that much early, never
// late.
//
// A connection has the absolute end in its principal, and asks [Manager.Alive] at each recheck and
// at the idle end ([middleware.RecheckBy]). It ends with the session, and its own traffic does not
// extend the session. With Config.ConnectionsExtendIdle it asks after half of Idle, and each question
// extends the idle time-out: an open connection then keeps the session alive, up to the absolute end.
//
// # Ending sessions
//
// The store keeps what ended, beside the records, so that a sign-out lasts over restarts and
// holds on every node that has the same store, at its next request. Connections of this process
// end before the call returns, those of another at once if the store is an [Announcer], and
// otherwise at its next recheck.
//
// Each subject has two marks of 16 random bytes, one that [Manager.LogoutEverywhere] replaces
// and one that [Manager.LogoutOthers] replaces; a session is alive while it has copies of both.
// No time is compared and no number counted, so that neither clocks nor a renewal at the same
// moment have an effect, whether or not the store compares before it writes. An ended session
// leaves a tombstone: a request that writes its record back at that moment does not revive it,
// and deletes it again.
//
// Beside the record a load reads the two marks, the roles that [Manager.SetRoles] has set and, if
// the store is not a [Swapper], the tombstone: in one goroutine, and in one more round trip if the store
// is a [ManyFinder]. Nothing of this is cached. The keys are 43 bytes, as those of records are; the
// values begin with "wsr" and are at most 64 bytes, except for roles and subjects. They are kept
// for 30 days and an hour, a tombstone as long as its session could have lasted, or ten minutes if
// the store is a Swapper. A store that loses them, but keeps the records, revives the sessions.
//
// A token or ticket that was issued in a session ends with it: see bearer.Config.Sessions
// and ticket.Config.Auth. An Auth with the Manager follows the ends; a connection needs no
// further configuration.
//
// A session whose Login has an [Identity] with a [ProviderSignIn] also ends with the sign-in at that
// OpenID provider: bearer.NewBackChannelLogout tells [Manager.Revocations] of it. A load then reads
// two more entries, its Login reads and writes two, and a sign-in with a session that has ended there is
// refused.
//
// # SQLite
//
// By default SQLite refuses a write while another one is under way ("database is locked"), and
// requests are then refused with 503. Have it wait, for less than Config.StoreTimeout, and let
// reads go on beside a write; the first statement is the table that scs documents:
//
//	db, err := sql.Open("sqlite", "file:sessions.db?_pragma=busy_timeout(900)&_pragma=journal_mode(WAL)")
//	db.SetMaxOpenConns(4) // further calls wait in turn, which those in SQLite do not
//	_, err = db.Exec(`CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)`)
//	sessions, err := session.New(session.Config{Store: sqlite3store.New(db)})
//
// The parameters are those of modernc.org/sqlite; github.com/mattn/go-sqlite3 has _busy_timeout=900
// and _journal_mode=WAL. Each process on the file opens it so. Keep the default of synchronous: with
// NORMAL, SQLite may lose the newest sign-outs when the power fails.
//
// # Roles
//
// A session has the roles of its [Identity] until [Manager.SetRoles] replaces them for all sessions
// of the subject. SetRoles writes one entry beside the records and changes none of them, so that it
// needs no list of the sessions, and no renewal and no other write can bring the old roles back.
//
// # Cost
//
// A request without the cookie asks the store nothing. One with it, a handshake through the whole
// chain and a recheck of a connection cost the same round trips, here with those of changes:
//
//	                       plain  ManyFinder  Swapper  both
//	request, handshake         5           2        4     2
//	Login                      7           3        7     3
//	change of values          16           7        9     5
//	Logout                     8           5        7     5
//	LogoutOthers              17           9       14     8
//	LogoutEverywhere           1           1        1     1
//
// The request in which a change is made is included, except for LogoutEverywhere, which needs
// none. An [Announcer] costs one more round trip for each end of a session, and two for LogoutOthers. A
// request allocates 11 times with the memory of the process, 12 with memstore, 44 with redisstore and 130
// with sqlite3store; a handshake through the whole chain, its client included, 178, 179, 218 and 300 times.
//
// # Why not scs.SessionManager
//
// The package uses the stores of scs, not its SessionManager. With an idle time-out,
// SessionManager marks every load as modified and commits the copy it read when the
// handler ends, hours after the logout for a hijacked connection. It commits inside
// Write, after the handler has chosen its answer. It panics without a session in the
// context, and a read with its gob codec takes more than five times as long.
package session
