package handle_test

import (
	"strings"
	"testing"

	"github.com/securews/securews/internal/handle"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"abc"}, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"}, // FIPS 180-4, B.1
		{[]string{"a", "c"}, handle.Of("a\x00c")},
		{[]string{strings.Repeat("a", 600), ""}, handle.Of(strings.Repeat("a", 600) + "\x00")},
	} {
		if got := handle.Of(c.parts...); got != c.want {
			t.Errorf("Of(%.20q) is %s, want %s", c.parts, got, c.want)
		}
	}
}
