package setting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/internal/setting"
)

func TestFill(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sentence    string
		given, def  time.Duration
		want        time.Duration
		wantMistake string
	}{
		{"0 is the default", 0, time.Second, time.Second, ""},
		{"0 is none if that is the default", 0, 0, 0, ""},
		{"a value stays", 7, time.Second, 7, ""},
		{"ten years is the most", 10 * 365 * 24 * time.Hour, 1, 10 * 365 * 24 * time.Hour, ""},
		{"more is a mistake", 1<<63 - 1, 1, 1<<63 - 1, "pkg: Timeouts.X: 2562047h47m16.854775807s is longer than ten years"},
		{"negative is a mistake", -1, time.Second, -1, "pkg: Timeouts.X: -1ns is negative; 0 is the default, 1s, and there is no unlimited"},
		{"negative is a mistake, also beside none", -1, 0, -1, "pkg: Timeouts.X: -1ns is negative; 0 is the default, none"},
	} {
		v := tt.given
		err := setting.Fill("pkg", "Timeouts.X", &v, tt.def)
		if v != tt.want || (err != nil) != (tt.wantMistake != "") || err != nil && !strings.HasPrefix(err.Error(), tt.wantMistake) {
			t.Errorf("%s: %v, %v", tt.sentence, v, err)
		}
	}
	n := 0
	if err := setting.Fill("pkg", "Limits.X", &n, 5); err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
}
