package savedheader_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/securews/securews/internal/savedheader"
)

// Restore undoes every set, add, replacement and delete since.
func TestRestoreUndoesEveryChange(t *testing.T) {
	t.Parallel()
	h := http.Header{"Vary": {"Origin"}, "X-Replaced": {"a"}, "X-Deleted": {"b"}, "lower": {"c", "d"}}
	want := h.Clone()
	saved := savedheader.Fields(nil).Append(h)
	h.Set("Set-Cookie", "s=1")
	h.Add("Vary", "Accept")
	h.Set("X-Replaced", "e")
	h.Del("X-Deleted")
	saved.Restore(h)
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%v, want %v", h, want)
	}
}
