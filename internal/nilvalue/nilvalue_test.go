package nilvalue_test

import (
	"fmt"
	"testing"

	"github.com/securews/securews/internal/nilvalue"
)

func TestIn(t *testing.T) {
	for _, tt := range []struct {
		x    any
		want bool
	}{
		{nil, false},
		{(*int)(nil), true},
		{(func())(nil), true},
		{map[string]int(nil), true},
		{[]int(nil), true},
		{(chan int)(nil), true},
		{new(int), false},
		{func() {}, false},
		{map[string]int{}, false},
		{[]int{}, false},
		{make(chan int), false},
		{0, false},
		{struct{ p *int }{}, false},
	} {
		if got := nilvalue.In(tt.x); got != tt.want {
			t.Errorf("In(%s) = %v, want %v", fmt.Sprintf("%T(%[1]v)", tt.x), got, tt.want)
		}
	}
}
