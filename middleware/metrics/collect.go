package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/securews/securews/middleware/live"
)

// The metrics that are read from the registry at a scrape.
var (
	open          = describe("connections_open", "Connections and streams at this moment, those being opened included.")
	eventsDropped = describe("events_dropped_total",
		"Events that are missing in the counters of opened, ended, refused and stuck, since they came faster than they were taken.")
	receivedMessages = describe("received_messages_total", "Messages received on WebSockets.")
	receivedBytes    = describe("received_bytes_total", "Bytes of the payloads of messages received on WebSockets.")
	sentMessages     = describe("sent_messages_total", "Messages sent on WebSockets.")
	sentBytes        = describe("sent_bytes_total", "Bytes of the payloads of messages sent on WebSockets.")
	queueBytes       = describe("queue_bytes", "Bytes of messages that are queued for WebSocket peers and of which no write has begun.")
	heartbeats       = describe("heartbeat_round_trip_seconds", "Time from a ping to its pong.")
	endToClose       = describe("end_to_close_seconds", "Time from an end to its close frame, or last event of a stream, by reason.",
		"reason")
	logLag         = describe("log_lag_seconds", "Time that the last entry of the log which nodes share took to this node.")
	logInterrupted = describe("log_interrupted", "1 if entries of the log that nodes share do not arrive at this node.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("securews_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	if !c.made() {
		to <- prometheus.NewInvalidDesc(errZero)
		return
	}
	for _, own := range c.counters() {
		own.Describe(to)
	}
	for _, d := range []*prometheus.Desc{
		open, eventsDropped, receivedMessages, receivedBytes, sentMessages, sentBytes, queueBytes, heartbeats, endToClose,
	} {
		to <- d
	}
	if c.logState != nil {
		to <- logLag
		to <- logInterrupted
	}
}

func (c *Collector) counters() []prometheus.Collector {
	return []prometheus.Collector{c.opened, c.ended, c.refused, c.stuck, c.lasted, c.requestDuration}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	if !c.made() {
		to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errZero), errZero)
		return
	}
	for _, own := range c.counters() {
		own.Collect(to)
	}
	s := c.registry.Stats()
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	counter := func(d *prometheus.Desc, v uint64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(open, float64(s.Open))
	counter(eventsDropped, s.EventsDropped)
	counter(receivedMessages, s.Received.Messages)
	counter(receivedBytes, s.Received.Bytes)
	counter(sentMessages, s.Sent.Messages)
	counter(sentBytes, s.Sent.Bytes)
	gauge(queueBytes, float64(s.QueueBytes))
	to <- constHistogram(heartbeats, s.Heartbeats)
	for cause, h := range s.Closes {
		to <- constHistogram(endToClose, h, cause.Reason)
	}
	if c.logState != nil {
		lag, interrupted := c.logState()
		gauge(logLag, lag.Seconds())
		gauge(logInterrupted, map[bool]float64{true: 1}[interrupted])
	}
}

func constHistogram(d *prometheus.Desc, h live.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Buckets))
	for _, b := range h.Buckets {
		buckets[b.Upper.Seconds()] = b.Count
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets, labels...)
}
