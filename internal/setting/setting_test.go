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
		{sentence: "0 is the default", given: 0, def: time.Second, want: time.Second},
		{sentence: "0 is none if that is the default", given: 0, def: 0, want: 0},
		{sentence: "a value stays", given: 7, def: time.Second, want: 7},
		{sentence: "ten years is the most", given: 10 * 365 * 24 * time.Hour, def: 1, want: 10 * 365 * 24 * time.Hour},
		{
			sentence: "more is a mistake", given: 1<<63 - 1, def: 1,
			want: 1<<63 - 1, wantMistake: "pkg: Timeouts.X: 2562047h47m16.854775807s is longer than ten years",
		},
		{
			sentence: "negative is a mistake", given: -1, def: time.Second,
			want: -1, wantMistake: "pkg: Timeouts.X: -1ns is negative; 0 is the default, 1s, and there is no unlimited",
		},
		{
			sentence: "negative is a mistake, also beside none",
			given:    -1, def: 0, want: -1, wantMistake: "pkg: Timeouts.X: -1ns is negative; 0 is the default, none",
		},
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
