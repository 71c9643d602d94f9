package metrics_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/middleware/metrics"
)

// busy is a server over TLS with real connections: three sockets, of which one has logged
// out and one was closed by its peer, an event stream, and a request without a credential.
func busy(t *testing.T) *service {
	t.Helper()
	s := newService(t, metrics.Config{
		Live:     live.Config{Timeouts: live.Timeouts{Spread: time.Millisecond}},
		LogState: func() (time.Duration, bool) { return 1500 * time.Millisecond, true },
	})
	mux := http.NewServeMux()
	mux.Handle("/ws", s.socket(echo))
	mux.Handle("/events", s.bound(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	server := httptest.NewTLSServer(s.Handler(mux))
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if err := s.Live().Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})

	dial := func(name string) (*websocket.Conn, error) {
		c, _, err := websocket.Dial(t.Context(), server.URL+"/ws",
			&websocket.DialOptions{HTTPHeader: as(name), HTTPClient: server.Client()})
		return c, err
	}
	var conns []*websocket.Conn
	for _, name := range []string{"ann", "bob", "cid"} {
		c, err := dial(name)
		must(t, err)
		conns = append(conns, c)
	}
	for _, c := range conns[:2] { // the two that end: all their messages are in a scrape afterwards
		must(t, c.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("x", 100))))
		_, _, err := c.Read(t.Context())
		must(t, err)
	}
	if _, err := dial(""); err == nil {
		t.Fatal("a handshake without a credential is answered")
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
	r.Header = as("dan")
	res, err := server.Client().Do(r)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	_, err = bufio.NewReader(res.Body).ReadString('\n')
	must(t, err)
	s.await(live.Opened, 4)

	s.signOut("ann")
	if _, _, err := conns[0].Read(t.Context()); websocket.CloseStatus(err) != 3000 {
		t.Fatal(err)
	}
	must(t, conns[1].Close(websocket.StatusGoingAway, ""))
	s.await(live.Ended, 2)
	go func() { _, _, _ = conns[2].Read(context.Background()) }() // answers the close frame of the shutdown
	return s
}

// Prometheus' parser reads the scrape, and the values are those of the connections.
func TestScrapeHasTheConnections(t *testing.T) {
	s := busy(t)
	x := s.scrape()
	x.want(t, map[string]float64{
		"securews_connections_open":                                      2,
		"securews_connections_opened_total":                              4,
		"securews_connections_ended_total{code=3000,reason=revoked}":     1,
		"securews_connections_ended_total{code=1001,reason=peer}":        1,
		"securews_connections_ended_total{code=1013,reason=slow}":        0,
		"securews_connections_refused_total{reason=no_credential}":       1,
		"securews_connections_refused_total{reason=overloaded}":          0,
		"securews_connections_stuck_total":                               0,
		"securews_connection_duration_seconds":                           2,
		"securews_events_dropped_total":                                  0,
		"securews_received_messages_total":                               2,
		"securews_received_bytes_total":                                  200,
		"securews_sent_messages_total":                                   2,
		"securews_sent_bytes_total":                                      200,
		"securews_queue_bytes":                                           0,
		"securews_heartbeat_round_trip_seconds":                          0,
		"securews_end_to_close_seconds{reason=revoked}":                  1,
		"securews_end_to_close_seconds{reason=later}":                    0,
		"securews_log_lag_seconds":                                       1.5,
		"securews_log_interrupted":                                       1,
		"securews_http_request_duration_seconds{code=101,method=GET}":    3,
		"securews_http_request_duration_seconds{code=200,method=GET}":    1, // the stream goes on
		"securews_http_request_duration_seconds{code=401,method=GET}":    1,
		"securews_http_request_duration_seconds{code=other,method=POST}": -1,
	})
}

// The buckets of connections reach from 1 s to 24 h, apart from those of HTTP requests.
func TestBucketsOfDurations(t *testing.T) {
	x := busy(t).scrape()
	for name, want := range map[string][2]float64{
		"securews_connection_duration_seconds":   {1, 86400},
		"securews_end_to_close_seconds":          {0.001, 10},
		"securews_http_request_duration_seconds": {0.005, 10},
	} {
		buckets := x[name].GetMetric()[0].GetHistogram().GetBucket()
		if first, last := buckets[0].GetUpperBound(), buckets[len(buckets)-2].GetUpperBound(); first != want[0] || last != want[1] {
			t.Errorf("%s: from %v to %v, want %v", name, first, last, want) // the last one is +Inf
		}
	}
}

// Prometheus' linter finds nothing: units, suffixes, help texts.
func TestLinterFindsNothing(t *testing.T) {
	problems, err := testutil.GatherAndLint(busy(t).prom)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// A gauge that is counted by events drifts if some are dropped; this one does not, and the
// number of those that are missing is there.
func TestOpenDoesNotDriftIfEventsAreDropped(t *testing.T) {
	const connections = 256 // × 4 events may wait
	block, counted := make(chan struct{}), make(chan struct{}, 1)
	s := newService(t, metrics.Config{Live: live.Config{Limits: live.Limits{Connections: connections}, Events: func(live.Event) {
		select {
		case counted <- struct{}{}:
		default:
		}
		<-block
	}}})
	defer close(block)
	s.Live().Refused("x")
	<-counted // now it blocks
	for range 4*connections + 50 {
		s.Live().Refused("x")
	}
	h := s.bound(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // a member from now on
		s.scrape().want(t, map[string]float64{
			"securews_connections_open": 1, "securews_connections_opened_total": 0, "securews_events_dropped_total": 51,
		})
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header = as("ann")
	h.ServeHTTP(httptest.NewRecorder(), r)
	s.scrape().want(t, map[string]float64{
		"securews_connections_open": 0, "securews_connections_opened_total": 0, "securews_events_dropped_total": 52,
	})
}

// Without a log that nodes share its two metrics are left out.
func TestLogOfNodesIsOptional(t *testing.T) {
	x := newService(t, metrics.Config{}).scrape()
	x.want(t, map[string]float64{"securews_log_lag_seconds": -1, "securews_log_interrupted": -1, "securews_connections_open": 0})
}

// The error of New is that of live.New, which names the fields.
func TestNewReportsTheRegistrysErrors(t *testing.T) {
	_, err := metrics.New(metrics.Config{Live: live.Config{Limits: live.Limits{Connections: -1, PerAddress: -1}}})
	if err == nil || !strings.Contains(err.Error(), "Limits.Connections") || !strings.Contains(err.Error(), "Limits.PerAddress") {
		t.Error(err)
	}
}

// Two registries are told apart by a label of the program's choice.
func TestTwoRegistriesHaveALabelEach(t *testing.T) {
	prom := prometheus.NewPedanticRegistry()
	for _, name := range []string{"public", "internal"} {
		c, err := metrics.New(metrics.Config{})
		must(t, err)
		must(t, prometheus.WrapRegistererWith(prometheus.Labels{"registry": name}, prom).Register(c))
	}
	families, err := prom.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == "securews_connections_open" && len(f.GetMetric()) == 2 {
			return
		}
	}
	t.Error("want two gauges")
}
