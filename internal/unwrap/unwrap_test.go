package unwrap_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/internal/unwrap"
)

type wraps struct{ http.ResponseWriter }

func (w wraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type hides struct{ http.ResponseWriter }

func TestWriters(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	for _, tt := range []struct {
		name      string
		w         http.ResponseWriter
		flusher   bool
		innermost http.ResponseWriter
	}{
		{"the writer itself", rec, true, rec},
		{"behind two layers", wraps{wraps{rec}}, true, rec},
		{"behind a layer without Unwrap", wraps{hides{rec}}, false, hides{rec}},
		{"a layer that returns nil", wraps{nil}, false, nil},
		{"nil", nil, false, nil},
	} {
		f, ok := unwrap.As[http.Flusher](tt.w)
		if ok != tt.flusher || ok && f != http.Flusher(rec) {
			t.Errorf("%s: As is %v, %v", tt.name, f, ok)
		}
		if got := unwrap.Innermost(tt.w); got != tt.innermost {
			t.Errorf("%s: Innermost is %v", tt.name, got)
		}
	}
}
