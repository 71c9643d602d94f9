// Package storetest tests implementations of the interfaces behind which securews keeps its
// state: session stores, revocations, ticket stores and rate limiters.
//
// # For implementers
//
// Call the function of your interface from a test of your package. Each subtest is named
// after the line of the contract that it checks.
//
//	func TestStore(t *testing.T) {
//		path := filepath.Join(t.TempDir(), "sessions.db")
//		storetest.SessionStore(t, func(t testing.TB) scs.Store { return open(t, path) })
//	}
//
// The function that you pass opens a handle. It is called several times, also within one
// subtest, and every handle has the same data: for a store that survives the process, write a
// function that connects again each time, as another process would, and that closes the
// connection by t.Cleanup. For memory of this process, return the same value each time:
//
//	list := mypkg.NewRevocations()
//	storetest.Revocations(t, func(testing.TB) middleware.Revocations { return list })
//
// The data need not be empty: keys are random, and most are left behind. A run takes some
// seconds, because it waits for entries to expire; the clock of a server must agree with that of
// the test to a second. Run it with the race detector.
//
// An optional interface is tested if the store has it: [scs.CtxStore], [scs.IterableStore],
// [session.Swapper], [session.ManyFinder], [session.Announcer]. Otherwise its subtests are skipped. A line such as
// the following keeps a misspelt method from being skipped too.
//
//	var _ session.Swapper = (*Store)(nil)
//
// Package session never writes an empty value, calls the methods with a context if there are
// some, does not change a slice that it has passed or received, and gives up a call that takes
// too long. So a session store may keep the slice of a Commit, and may ignore contexts.
//
// A call that does not return fails its subtest after 30 s.
//
// # Read caches
//
// A store that answers from a cache does not keep the contract, because a sign-out does not
// hold while an old answer is remembered. The same is true of a replica that lags behind its
// primary. The subtest "every handle finds the last change at once" rejects both; it needs two
// handles that do not share the cache.
//
// # Full stores
//
// The kit leaves some hundred entries behind and cannot see that a store drops entries once it is
// full, as a cache does. One that does forgets sign-outs, and so revives sessions that were ended:
// give it a limit that it never reaches, and no eviction (maxmemory-policy noeviction in Redis).
//
// # Faults
//
// [Faulty], [Slow], [Blocking], [Failing], [Losing] and [StaleReads] put faults in front of a session
// store, for tests of code that uses one.
package storetest
