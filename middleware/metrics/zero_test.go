package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/securews/securews/middleware/metrics"
)

// unchecked is a collector that a registry accepts without asking for its descriptions.
type unchecked struct{ prometheus.Collector }

func (unchecked) Describe(chan<- *prometheus.Desc) {}

func TestZeroCollectorIsAnError(t *testing.T) {
	const want = "metrics: the zero Collector: make one with New"
	for name, c := range map[string]*metrics.Collector{"nil": nil, "the zero value": {}} {
		if err := prometheus.NewRegistry().Register(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Register: %v, want %q", name, err, want)
		}
		registry := prometheus.NewRegistry()
		must(t, registry.Register(unchecked{c}))
		if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Gather: %v, want %q", name, err, want)
		}
		if c.Live() != nil {
			t.Errorf("%s: Live is not nil", name)
		}
		w := httptest.NewRecorder()
		c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).
			ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: Handler: %d, want 418", name, w.Code)
		}
	}
}
