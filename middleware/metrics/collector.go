package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/securews/securews/middleware/live"
)

// Config is the argument of [New]. The zero value is valid.
type Config struct {
	_ [0]func()

	// Live is the configuration of the registry that New makes. Its Events is called after
	// the collector has counted the event, under the rules of live.Config.Events.
	Live live.Config

	// LogState returns the state of the log in which several nodes share the ends of credentials,
	// such as that of package middleware/redis: how long its last entry took to this node, and
	// whether entries do not arrive. It is called at every scrape, concurrently if scrapes are, and
	// must return at once. Nil: the two metrics of the log are left out.
	LogState func() (lag time.Duration, interrupted bool)
}

// Collector collects the metrics of one registry, both made by [New]. It is a prometheus.Collector
// and safe for concurrent use. Two registries of one process are told apart by
// prometheus.WrapRegistererWith. The zero value is an error at its registration and at a scrape; its
// Handler measures nothing, and its registry is nil.
type Collector struct {
	registry *live.Registry
	logState func() (lag time.Duration, interrupted bool)

	opened, stuck   prometheus.Counter
	ended           *prometheus.CounterVec
	refused         *prometheus.CounterVec
	lasted          prometheus.Histogram
	requestDuration *prometheus.HistogramVec
}

var errZero = errors.New("metrics: the zero Collector: make one with New")

// made reports whether New has made c.
func (c *Collector) made() bool { return c != nil && c.registry != nil }

// New makes a registry, and the collector of its metrics. Its error is that of live.New.
func New(cfg Config) (*Collector, error) {
	c := &Collector{logState: cfg.LogState}
	c.makeCounters()
	events := cfg.Live.Events
	cfg.Live.Events = func(e live.Event) {
		c.count(e)
		if events != nil {
			events(e)
		}
	}
	var err error
	if c.registry, err = live.New(cfg.Live); err != nil {
		return nil, err
	}
	return c, nil
}

// Live returns the registry.
func (c *Collector) Live() *live.Registry {
	if !c.made() {
		return nil
	}
	return c.registry
}

func (c *Collector) makeCounters() {
	c.opened = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "securews_connections_opened_total", Help: "Connections and streams that were opened.",
	})
	c.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "securews_connections_ended_total", Help: "Connections and streams that have ended, by close code and reason.",
	}, []string{"code", "reason"})
	c.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "securews_connections_refused_total",
		Help: "Requests that would have opened a connection or stream and were refused, by reason.",
	}, []string{"reason"})
	c.stuck = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "securews_connections_stuck_total", Help: "Connections and streams whose code had not returned 10 s after their end.",
	})
	c.lasted = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "securews_connection_duration_seconds", Help: "How long connections and streams were open.",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 8 * 3600, 24 * 3600},
	})
	c.requestDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "securews_http_request_duration_seconds",
		Help:    "Duration of HTTP requests by status code and method; of handshakes and event streams until the header.",
		Buckets: prometheus.DefBuckets,
	}, []string{"code", "method"})

	// A series that begins at 0 shows its first increment in rate().
	for _, e := range ends {
		c.ended.WithLabelValues(codes[e.code], e.reason)
	}
	for reason := range reasons {
		c.refused.WithLabelValues(string(reason))
	}
	c.refused.WithLabelValues(other)
}

// count counts an event of the registry.
func (c *Collector) count(e live.Event) {
	switch e.Kind {
	case live.Opened:
		c.opened.Inc()
	case live.Ended:
		c.ended.WithLabelValues(causeLabels(e.Cause)...).Inc()
		c.lasted.Observe(e.Lasted.Seconds())
	case live.Refused:
		c.refused.WithLabelValues(reasonLabel(e.Reason)).Inc()
	case live.Stuck:
		c.stuck.Inc()
	}
}
