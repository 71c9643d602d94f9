package redis_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// A function that never returns costs the others nothing, however many announcements there are, and
// hears once it returns that it has missed some.
func TestFollowerThatNeverReturns(t *testing.T) {
	t.Parallel()
	const announcements = 300
	shared := node(t, commonServer(t).Addr)
	store := shared.Sessions()
	eventually(t, "the node hears", func() bool { return shared.Ready(t.Context()) == nil })
	release, heard, missed := make(chan struct{}), make(chan string, 2*announcements), make(chan struct{}, 2*announcements)
	defer store.Follow(func(v middleware.Revocation) {
		if <-release; v.Resync {
			missed <- struct{}{}
		}
	})()
	name := t.Name()
	defer store.Follow(func(v middleware.Revocation) {
		if strings.HasPrefix(v.Subject, name) {
			heard <- v.Subject
		}
	})()
	got := map[string]bool{}
	for i := range announcements {
		if err := store.Announce(t.Context(), middleware.Revocation{Subject: fmt.Sprint(name, i)}); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(patience)
	for len(got) < announcements {
		select {
		case subject := <-heard:
			got[subject] = true
		case <-deadline:
			t.Fatalf("the other function hears %d of %d announcements", len(got), announcements)
		}
	}
	close(release)
	select {
	case <-missed:
	case <-time.After(patience):
		t.Error("the function is not told that it has missed announcements")
	}
}

// Close returns, although a function that follows does not, or is the caller.
func TestCloseWithFollowers(t *testing.T) {
	t.Parallel()
	for name, follower := range map[string]func(closes func()){
		"one that does not return": func(func()) { <-t.Context().Done() },
		"one that closes":          func(closes func()) { closes() },
		"one that ends its goroutine, and others": func(closes func()) {
			defer closes()
			runtime.Goexit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := node(t, commonServer(t).Addr)
			called, closed := make(chan struct{}, 1000), make(chan struct{}, 1000)
			closes := func() { _ = shared.Close(); closed <- struct{}{} }
			shared.Sessions().Follow(func(middleware.Revocation) {
				called <- struct{}{}
				follower(closes)
			})
			if err := shared.Sessions().Announce(t.Context(), middleware.Revocation{Subject: "x"}); err != nil {
				t.Fatal(err)
			}
			<-called
			go closes()
			select {
			case <-closed:
			case <-time.After(patience):
				t.Fatal("Close does not return")
			}
		})
	}
}
