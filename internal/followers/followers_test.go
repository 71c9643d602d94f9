package followers_test

import (
	"slices"
	"testing"

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
