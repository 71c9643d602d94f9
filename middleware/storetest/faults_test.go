package storetest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/securews/securews/middleware/storetest"
	"github.com/securews/securews/session"
)

// signOuts end a thief's copy of the user's session, or another session that the thief has.
var signOuts = map[string]struct {
	path  func(user *client) string
	other bool
}{
	"logout":                  {at("/logout"), false},
	"end":                     {func(user *client) string { return "/end?user=alice&handle=" + user.principal().SessionHandle }, false},
	"renewal":                 {at("/others"), false},
	"sign-out of others":      {at("/others"), true},
	"sign-out everywhere":     {at("/everywhere?user=alice"), false},
	"everywhere, of another":  {at("/everywhere?user=alice"), true},
	"login in an old session": {at("/login?user=alice"), false},
}

func at(path string) func(*client) string { return func(*client) string { return path } }

// counted counts the calls of s.
func counted(s scs.Store, calls *int) scs.Store {
	return storetest.Faulty(s, storetest.Faults{Before: func(context.Context, storetest.Call) error {
		*calls++
		return nil
	}})
}

// Each call of each sign-out fails in turn, before it is done or after. A sign-out that is
// acknowledged holds, and one that failed can be tried again.
func TestSignOutsThatFailBetweenSteps(t *testing.T) {
	t.Parallel()
	for kind, create := range kinds {
		for fault, failing := range map[string]func(scs.Store, int) scs.Store{
			"fails":                        storetest.Failing,
			"is done, and its answer lost": storetest.Losing,
		} {
			for name, event := range signOuts {
				t.Run(fmt.Sprintf("%s/%s/a call %s", kind, name, fault), func(t *testing.T) {
					t.Parallel()
					reached := true
					for step := 1; reached; step++ {
						store, calls := create(), 0
						user := newSite(t, session.Config{Store: store}).signedIn(t, "alice")
						thief := *user
						if event.other {
							thief = *user.s.signedIn(t, "alice")
						}
						path := event.path(user)
						there := user.on(newSite(t, session.Config{Store: counted(failing(store, step), &calls)}))
						status := there.get(path)
						user, reached = there.on(user.s), calls >= step
						if status != 200 {
							if status != 503 {
								t.Errorf("call %d: %d, want 503", step, status)
							}
							if user.get("/me") != 200 {
								user.wants(200, "/login?user=alice")
								path = event.path(user)
							}
							user.wants(200, path)
						}
						if thief.get("/me") != 401 {
							t.Errorf("call %d failed, the answer was %d, and then 200: the thief is served", step, status)
						}
					}
				})
			}
		}
	}
}

// A store that is slow or blocking costs StoreTimeout: the answer is 503 and claims nothing.
// When the store is back, the sign-out can be tried again.
func TestSignOutsOnSlowAndBlockingStores(t *testing.T) {
	t.Parallel()
	for kind, create := range kinds {
		for name, event := range signOuts {
			for fault, put := range map[string]func(scs.Store, <-chan struct{}) scs.Store{
				"slow":     func(s scs.Store, _ <-chan struct{}) scs.Store { return storetest.Slow(s, 700*time.Millisecond) },
				"blocking": storetest.Blocking,
			} {
				t.Run(kind+"/"+name+"/"+fault, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						store, until := create(), make(chan struct{})
						user := newSite(t, session.Config{Store: store}).signedIn(t, "alice")
						thief := *user
						if event.other {
							thief = *user.s.signedIn(t, "alice")
						}
						path := event.path(user)
						there := user.on(newSite(t, session.Config{Store: put(store, until), StoreTimeout: 2 * time.Second}))
						start := time.Now()
						status := there.get(path)
						if took := time.Since(start); took > 4*time.Second { // the load of the request, and the sign-out
							t.Errorf("the answer took %v", took)
						}
						if status == 200 {
							thief.wants(401, "/me")
						}
						close(until)
						synctest.Wait()
						time.Sleep(time.Minute) // calls that were given up return
						user = there.on(user.s)
						if user.get("/me") == 200 {
							user.wants(200, event.path(user))
						} else if event.other {
							user.wants(200, "/login?user=alice")
							user.wants(200, path)
						}
						thief.wants(401, "/me")
					})
				})
			}
		}
	}
}

// This is why a store may not have a cache for reads: the sign-out of another node does not
// hold.
func TestSignOutBehindAStaleCacheDoesNotHold(t *testing.T) {
	t.Parallel()
	store := memstore.NewWithCleanupInterval(0)
	here, there := newSite(t, session.Config{Store: store}), newSite(t, session.Config{Store: storetest.StaleReads(store)})
	user := here.signedIn(t, "alice")
	thief := user.on(there)
	thief.wants(200, "/me")
	user.wants(200, "/everywhere?user=alice")
	user.wants(401, "/me")
	thief.wants(200, "/me")
}
