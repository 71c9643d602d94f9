package followers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/securews/securews/internal/followers"
)

func TestList(t *testing.T) {
	t.Parallel()
	var list followers.List[int]
	list.Tell(1) // to none
	var first, second []int
	stop := list.Follow(func(v int) { first = append(first, v) })
	list.Follow(func(v int) {
		second = append(second, v)
		if v == 2 {
			stop() // a follower may stop another while it is told
			list.Follow(func(int) {})
		}
	})
	list.Tell(2)
	list.Tell(3)
	stop()
	if !slices.Equal(first[:1], []int{2}) && len(first) > 0 || len(first) > 1 || !slices.Equal(second, []int{2, 3}) {
		t.Errorf("told %v and %v", first, second)
	}
}

// A function that panics keeps no other one from the event.
func TestTellWithAFunctionThatPanics(t *testing.T) {
	t.Parallel()
	for range 20 { // their order is not fixed
		var list followers.List[int]
		told := make(chan int, 2)
		list.Follow(func(v int) { told <- v })
		list.Follow(func(int) { panic("fault") })
		list.Follow(func(v int) { told <- v })
		func() {
			defer func() {
				if v := recover(); v != "fault" {
					t.Errorf("recovered %v, want the panic", v)
				}
			}()
			list.Tell(1)
		}()
		if len(told) != 2 {
			t.Fatalf("%d functions were told, want 2", len(told))
		}
	}
}

// A function that does not return keeps no other one from the event.
func TestTellWithAFunctionThatBlocks(t *testing.T) {
	t.Parallel()
	for range 20 {
		var list followers.List[int]
		release, returned, told := make(chan struct{}), make(chan struct{}), make(chan int)
		list.Follow(func(int) { <-release })
		list.Follow(func(v int) { told <- v })
		go func() { list.Tell(1); close(returned) }()
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("the other function was not told")
		}
		close(release)
		<-returned
	}
}
