package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/metrics"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// user authenticates by a header.
type user struct{}

func (user) Ambient() bool { return false }

func (user) Authenticate(r *http.Request) (middleware.Principal, error) {
	name := r.Header.Get("X-User")
	if name == "" {
		return middleware.Principal{}, middleware.ErrNoCredential
	}
	return middleware.Principal{Issuer: "test", Subject: name, SessionHandle: "s-" + name, Method: "test"}, nil
}

// service is a registry with a collector, and the handlers of a server.
type service struct {
	*metrics.Collector
	t           *testing.T
	prom        *prometheus.Registry
	revocations middleware.Revocations
	auth        *middleware.Auth
	log         *slog.Logger
	events      chan live.Event // has each event that the collector has counted
}

func newService(t *testing.T, cfg metrics.Config) *service {
	t.Helper()
	s := &service{
		t: t, prom: prometheus.NewPedanticRegistry(), revocations: middleware.NewRevocations(),
		log: slog.New(slog.DiscardHandler), events: make(chan live.Event, 4096),
	}
	if cfg.Live.Events == nil {
		cfg.Live.Events = func(e live.Event) { s.events <- e }
	}
	cfg.Live.Log = s.log
	var err error
	s.auth, err = middleware.NewAuth(middleware.WithRevocations(user{}, s.revocations))
	must(t, err)
	s.Collector, err = metrics.New(cfg)
	must(t, err)
	s.prom.MustRegister(s.Collector)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// socket is a WebSocket route for pages of wstest.URL.
func (s *service) socket(serve func(context.Context, *ws.Conn) error) http.Handler {
	s.t.Helper()
	origins, err := middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL}})
	must(s.t, err)
	h, err := ws.New(ws.Config{Origins: origins, Auth: s.auth, Live: s.Live(), Serve: serve, Log: s.log})
	must(s.t, err)
	return h
}

// bound is next behind Registry.Handler.
func (s *service) bound(next http.HandlerFunc) http.Handler {
	return middleware.Chain(next, middleware.AccessLog(s.log), s.auth.Handler, s.Live().Handler)
}

func (s *service) signOut(name string) {
	s.t.Helper()
	must(s.t, s.revocations.Revoke(s.t.Context(), middleware.Revocation{SessionHandle: "s-" + name}))
}

// await returns when the collector has counted n events of the kind.
func (s *service) await(kind live.EventKind, n int) {
	s.t.Helper()
	for n > 0 {
		select {
		case e := <-s.events:
			if e.Kind == kind {
				n--
			}
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
	}
}

func echo(_ context.Context, c *ws.Conn) error {
	for {
		typ, p, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Write(typ, p); err != nil {
			return err
		}
	}
}

func as(name string) http.Header { return http.Header{"Origin": {wstest.URL}, "X-User": {name}} }

// scrape is what Prometheus reads over HTTP, by its own parser.
type scrape map[string]*dto.MetricFamily

// scrape asks a metrics server by HTTP.
func (s *service) scrape() scrape {
	s.t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(s.prom, promhttp.HandlerOpts{}))
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	must(s.t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatal(res.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	must(s.t, err)
	return families
}

// gathered is scrape without a server, for tests in fake time.
func (s *service) gathered() scrape {
	s.t.Helper()
	families, err := s.prom.Gather()
	must(s.t, err)
	got := scrape{}
	for _, f := range families {
		got[f.GetName()] = f
	}
	return got
}

// value returns the value of a counter or gauge, or the count of a histogram, whose labels
// are those given as name=value; -1 if there is none.
func (x scrape) value(name string, labels ...string) float64 {
	if m := x.find(name, labels...); m != nil {
		switch {
		case m.Gauge != nil:
			return m.GetGauge().GetValue()
		case m.Counter != nil:
			return m.GetCounter().GetValue()
		default:
			return float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

func (x scrape) sum(name string, labels ...string) float64 {
	return x.find(name, labels...).GetHistogram().GetSampleSum()
}

func (x scrape) find(name string, labels ...string) *dto.Metric {
	slices.Sort(labels)
	for _, m := range x[name].GetMetric() {
		if got := labelsOf(m); slices.Equal(got, labels) {
			return m
		}
	}
	return nil
}

func labelsOf(m *dto.Metric) (list []string) {
	for _, l := range m.GetLabel() {
		list = append(list, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(list)
	return list
}

// series returns the names and labels of everything in the scrape.
func (x scrape) series() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(x)) {
		for _, m := range x[name].GetMetric() {
			list = append(list, name+"{"+strings.Join(labelsOf(m), ",")+"}")
		}
	}
	return list
}

// want compares values of the scrape, each by its series as Prometheus writes it.
func (x scrape) want(t *testing.T, values map[string]float64) {
	t.Helper()
	for series, want := range values {
		name, rest, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		var labels []string
		if rest != "" {
			labels = strings.Split(rest, ",")
		}
		if got := x.value(name, labels...); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}
