// Package live owns everything in a process that outlives the request that opened it, and
// ends it when the credential behind it ends.
//
// A [Registry] is the one owner: it counts its members and bounds them, in all, for each
// principal and for each client address; it finds those of a session, a token or a subject;
// it asks at intervals whether credentials are still good; and its [Registry.Shutdown] ends
// everything in good order. One per process is usual; several have limits of their own.
//
// There is nothing to connect. The registry learns from the [middleware.Voucher] of a
// request which [middleware.Auth] admitted it, follows that Auth's revocations from the
// first such request on, and asks it at every recheck. ws.Handler binds its connections
// here. [Registry.Handler] binds any other response: event streams, long polls, downloads,
// and the sockets of other libraries. Code that outlives a request in another way binds its
// own members by [Registry.Reserve], [Binding.Bind] and [Binding.Open], and implements
// [Member].
//
// # How a revocation is never missed
//
// A member is entered in the index first. Then the registry compares the time at which the
// Auth began to ask with the revocations that arrived since: one that arrived later is
// found there, or finds the member in the index. The Auth is asked a second time only if
// that comparison cannot tell: for its first voucher, after a revocation of the subject,
// after more than a thousand revocations since it began to ask, and when that is as long ago
// as Timeouts.Recheck.
//
// A revocation by handle ends its members at once. One of a subject has the Auth asked about
// each of the subject's members, since only the Auth knows which credentials are meant; a
// member without an answer then ends.
package live
