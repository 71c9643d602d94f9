package storetest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// recorder is the testing.TB of a check that is to fail.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	skipped  bool
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, text)
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

func (r *recorder) Helper()                           {}
func (r *recorder) Error(args ...any)                 { r.fail(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }
func (r *recorder) Skip(...any)                       { r.skipped = true; runtime.Goexit() }

// try runs a check in a bubble, in which waiting costs nothing, with an implementation that is
// made there.
func try[S any](t *testing.T, c check[S], create func() func(testing.TB) S) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	synctest.Test(t, func(*testing.T) {
		open, done := create(), make(chan struct{})
		go func() {
			defer close(done)
			c.run(r, open)
		}()
		<-done
		time.Sleep(2 * time.Hour) // until a call that the check gave up has returned
	})
	return r
}

// bites runs each check with implementations that break its line of the contract, each in
// one way, and with one that keeps it.
func bites[S any](t *testing.T, broken map[string][]string, create func(fault string) func(testing.TB) S, lists ...[]check[S]) {
	t.Helper()
	for _, c := range slices.Concat(lists...) {
		t.Run(c.contract, func(t *testing.T) {
			t.Parallel()
			if r := try(t, c, func() func(testing.TB) S { return create("") }); r.Failed() || r.skipped {
				t.Errorf("it rejects an implementation that keeps the contract: skipped %v, %q", r.skipped, r.failures)
			}
			if len(broken[c.contract]) == 0 {
				t.Error("no broken implementation: it may never fail")
			}
			for _, fault := range broken[c.contract] {
				if r := try(t, c, func() func(testing.TB) S { return create(fault) }); !r.Failed() {
					t.Errorf("it accepts one that %s", fault)
				} else {
					t.Logf("%s: %s", fault, strings.TrimSpace(r.failures[0]))
				}
			}
		})
	}
	for contract := range broken {
		if !slices.ContainsFunc(slices.Concat(lists...), func(c check[S]) bool { return c.contract == contract }) {
			t.Errorf("there is no check %q", contract)
		}
	}
}

func TestSessionStoreBites(t *testing.T) {
	t.Parallel()
	bites(t, map[string][]string{
		"Find returns the bytes that Commit was given": {
			"ends values at a NUL byte", "replaces bytes that are not UTF-8", "trims spaces", "keeps 65 bytes", "keeps 63,999 bytes",
			"does not return from Find",
		},
		"keys are compared exactly, capitals too": {
			"compares keys without capitals", "keeps 42 bytes of a key", "keeps 42 bytes from the end of a key", "deletes by a pattern",
		},
		"an absent key is not found, without an error": {
			"fails for an absent key", "finds an absent key, empty", "finds whatever is there",
		},
		"Commit replaces what is stored": {"keeps the first value", "appends"},
		"Delete removes one key, and is not an error for an absent one": {
			"does not delete", "deletes everything", "fails to delete an absent key", "does not return from Delete",
		},
		"bytes that Find has returned do not change any more": {
			"writes in place", "returns memory that it uses again",
		},
		"All returns every entry that lives, under its key": {
			"lists what has expired", "lists no value above 1,000 bytes", "lists with a prefix", "lists nil", "lists what was deleted",
		},
		"an entry ends at its expiry, whatever the time zone": {
			"never expires", "takes local time for UTC", "expires 5 s early", "expires at once",
		},
		"an entry lives until its expiry, up to 31 days": {
			"takes more than 30 days for a date", "keeps nothing for more than an hour", "takes local time for UTC",
		},
		"Commit replaces the expiry": {"keeps the first expiry", "keeps the later expiry"},
		"every handle finds the last change at once": {
			"reads from a cache", "reads from a replica", "writes later", "has data of its own",
		},
		"entries outlive the handle that wrote them": {
			"forgets at the end", "has data of its own", "undoes deletes at the end",
		},
		"calls may be concurrent, and find whole values, never older than the last": {"writes in two steps", "reads from a cache"},
		"without an answer Find fails, and never says that a key is absent": {
			"finds nothing if the context has ended", "commits nothing if the context has ended",
			"deletes nothing if the context has ended",
			"lists nothing if the context has ended", "does not return if the context has ended",
		},
		"Swap writes if the stored bytes are equal to old, and else nothing": {
			"swaps always", "swaps never", "compares the length",
			"compares the beginning", "compares 1,000 bytes", "writes before it compares",
		},
		"Swap with a nil old writes if the key is absent or has expired": {
			"swaps always", "swaps a nil old always", "takes expired entries for present",
			"compares what has expired", "inserts whatever old is",
		},
		"Swap never writes back what was deleted":                    {"inserts whatever old is", "deletes later"},
		"Swap replaces the expiry":                                   {"keeps the expiry in Swap", "moves the expiry in every Swap"},
		"of any number of concurrent Swaps with one old, one writes": {"compares, and writes later", "says that each swap has written"},
		"no concurrent change by Swap is lost":                       {"compares, and writes later"},
		"Swap with an ended context fails, or tells the truth": {
			"swaps nothing if the context has ended", "does not return if the context has ended", "says that it has swapped, and fails",
		},
		"FindMany returns the values of the keys in their order, nil for an absent one": {
			"finds many in the order of the keys", "leaves absent keys out", "finds many with empty values for absent keys",
			"finds each key once", "finds at most two", "ends values at a NUL byte",
		},
		"FindMany returns nil for a key that has expired": {"finds many that have expired"},
		"FindMany is as new as Find":                      {"reads from a cache", "finds many in a cache"},
		"FindMany with an ended context fails, or tells the truth": {
			"finds nothing if the context has ended", "does not return if the context has ended",
		},
		"an announcement reaches the followers of every handle": {
			"announces nothing", "announces to the handle alone", "announces to other handles alone", "has data of its own",
		},
		"every field of an announcement arrives as it was given": {
			"announces text that is UTF-8", "announces 1,023 bytes",
			"announces without the issuer", "announces one handle", "announces whole seconds",
			"announces local time as UTC", "announces zero times as they are in Unix time",
			"announces times that overflow", "announces without Resync",
		},
		"an announcement reaches no follower that has stopped, and every other one": {"does not stop", "stops all"},
		"a function that follows announcements may call the store":                  {"announces under its lock"},
		"no announcement of many at once is lost":                                   {"drops announcements that come too fast"},
		"a function that does not return keeps no other from an announcement": {
			"announces in one goroutine", "announces until a function panics",
		},
		"a function that panics keeps no other from an announcement": {"announces until a function panics"},
		"Announce with an ended context fails, or tells the truth": {
			"announces nothing if the context has ended", "does not return if the context has ended",
		},
	}, brokenStores, storeChecks, expiryChecks, freshChecks, swapperChecks, manyFinderChecks, announcerChecks)
}

func TestRevocationsBite(t *testing.T) {
	t.Parallel()
	bites(t, map[string][]string{
		"a revocation reaches what it names, and nothing else": {
			"revokes nothing", "revokes everything", "takes tokens for sessions",
			"compares subjects without capitals", "ignores the issuer",
			"joins issuer and subject", "needs an issuer", "passes without IssuedAt",
		},
		"all that one revocation names is revoked": {"revokes the first that is named"},
		"an empty revocation is refused, and no follower is told": {
			"accepts an empty revocation", "tells of an empty revocation",
		},
		"when Revoke returns, every handle answers that it is revoked": {
			"answers from a cache", "revokes later", "has data of its own",
		},
		"revocations outlive the handle that wrote them": {
			"forgets at the end", "has data of its own",
		},
		"a revocation is kept until Expires, and a later one with an earlier Expires does not shorten it": {
			"forgets after 30 days", "shortens", "shortens subjects",
		},
		"calls may be concurrent, and no revocation is lost": {
			"replaces the whole list", "revokes later",
		},
		"with an ended context Revoke and Revoked fail, or tell the truth": {
			"answers no if the context has ended", "revokes nothing if the context has ended", "does not return if the context has ended",
		},
		"a subject's credentials issued before Before are revoked, and those issued a second later are not": {
			"rounds down to the second", "rounds up to the hour", "ignores Before", "takes local time for UTC",
		},
		"a cut-off in a far year, for a subject that is disabled for good, holds": {"counts nanoseconds"},
		"a zero Before is now, and followers are told so": {
			"takes a zero Before as it is", "tells a zero Before", "tells nobody",
		},
		"a later revocation never lowers a cut-off": {"lowers a cut-off", "ignores a second cut-off"},
		"of concurrent cut-offs the latest holds": {
			"compares cut-offs, and writes later", "lowers a cut-off",
		},
		"every follower is told of every later revocation, as it was given": {
			"tells nobody", "tells one follower", "tells subjects alone", "tells handles alone", "tells earlier ones", "tells other times",
		},
		"a follower is told after Revoked answers yes, and may ask it": {"tells first", "tells under its lock", "tells nobody"},
		"stop ends the calls of one follower alone":                    {"does not stop", "stops all"},
		"no follower misses one of many concurrent revocations": {
			"drops what comes too fast", "tells one follower", "loses followers when others stop",
		},
	}, brokenRevocations, revocationChecks, cutoffChecks, followChecks)
}

func TestTicketsBite(t *testing.T) {
	t.Parallel()
	bites(t, map[string][]string{
		"Consume returns the bytes that Put was given, once": {
			"does not remove", "ends values at a NUL byte", "keeps 16,383 bytes", "has data of its own", "returns nothing the second time",
		},
		"a key that was never stored is ErrNotFound": {
			"has an error of its own", "compares keys without capitals", "keeps 42 bytes of a key",
		},
		"of any number of concurrent calls of Consume, one gets the ticket": {"reads, and removes later"},
		"Put does not replace a ticket":                                     {"replaces", "drops the second, without an error"},
		"of any number of concurrent calls of Put with one key, one stores": {"looks, and stores later", "replaces"},
		"Put stores a copy":                           {"keeps the slice of Put"},
		"a ticket ends after its ttl, and not before": {"never expires", "expires at once", "expires all with the first"},
		"tickets outlive the handle that stored them": {"forgets at the end", "has data of its own"},
		"with an ended context Put and Consume fail, or tell the truth": {
			"finds nothing if the context has ended", "stores nothing if the context has ended",
			"does not return if the context has ended", "returns without removing if the context has ended",
		},
	}, brokenTickets, ticketChecks)
}

func TestLimiterBites(t *testing.T) {
	t.Parallel()
	bites(t, map[string][]string{
		"beyond the limit Allow returns the time until the next event": {
			"admits everything", "admits nothing", "returns a negative time", "says 9 s", "takes from the share when it refuses",
		},
		"after that time the next event is admitted": {"says half the time"},
		"each key has a share of its own, whatever its bytes": {
			"has one share for all", "compares keys without capitals", "ends keys at a NUL byte", "keeps 64 bytes of a key", "trims keys",
		},
		"every handle takes from the same share":                      {"has data of its own"},
		"concurrent events are counted, none twice and none left out": {"looks, and takes later", "has data of its own"},
		"Allow with an ended context returns": {
			"does not return if the context has ended", "returns a negative time if the context has ended",
		},
	}, brokenLimiters, limiterChecks)
}

// A node that answers from a cache serves the thief after the sign-out on another one.
func TestSignOutsBites(t *testing.T) {
	t.Parallel()
	store := memstore.NewWithCleanupInterval(0)
	r := &recorder{TB: t}
	signOuts(r, 8, func(testing.TB) scs.Store { return StaleReads(store) })
	if !r.Failed() {
		t.Error("it accepts a store with a stale cache in front")
	}
}
