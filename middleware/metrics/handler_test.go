package metrics_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/metrics"
	"github.com/securews/securews/ws/wstest"
)

const requests = "securews_http_request_duration_seconds"

// An hour of a socket or event stream leaves the latency of HTTP unmoved: its handshake counts
// until the 101, its request until the header, and the other requests count in full.
func TestAnHourOfASocketLeavesLatencyUnmoved(t *testing.T) {
	for _, tt := range []struct {
		name   string
		route  func(s *service) http.Handler
		open   func(*testing.T, *wstest.Server) (end func())
		series string
		lasted bool // the registry measures its life
	}{
		{
			name:  "a socket of ws.Handler",
			route: func(s *service) http.Handler { return s.socket(echo) }, open: openSocket, series: "code=101", lasted: true,
		},
		{
			name:  "a socket of another library behind Registry.Handler",
			route: func(s *service) http.Handler { return s.bound(coderSocket) }, open: openSocket, series: "code=101", lasted: true,
		},
		{
			name:  "a socket of another library alone",
			route: func(*service) http.Handler { return http.HandlerFunc(coderSocket) }, open: openSocket, series: "code=101",
		},
		{
			name:  "an event stream behind Registry.Handler",
			route: func(s *service) http.Handler { return s.bound(eventStream) }, open: openStream, series: "code=200", lasted: true,
		},
		{
			name:  "an event stream alone",
			route: func(*service) http.Handler { return http.HandlerFunc(eventStream) }, open: openStream, series: "code=200",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, metrics.Config{})
				mux := http.NewServeMux()
				mux.Handle("/live", tt.route(s))
				mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) })
				server := wstest.NewServer(t, s.Handler(mux))
				end := tt.open(t, server)
				for range 60 {
					time.Sleep(time.Minute)
					res, err := server.Client().Post(wstest.URL+"/slow", "", nil)
					must(t, err)
					_ = res.Body.Close()
				}
				x := s.gathered()
				x.want(t, map[string]float64{requests + "{" + tt.series + ",method=GET}": 1, requests + "{code=200,method=POST}": 60})
				if sum := x.sum(requests, tt.series, "method=GET"); sum != 0 {
					t.Errorf("the opening took %v s", sum)
				}
				if sum := x.sum(requests, "code=200", "method=POST"); sum < 17.999 || sum > 18.001 {
					t.Errorf("60 requests of 300 ms took %v s", sum)
				}
				end()
				synctest.Wait()
				x = s.gathered()
				x.want(t, map[string]float64{requests + "{" + tt.series + ",method=GET}": 1})
				if sum := x.sum(requests, tt.series, "method=GET"); sum != 0 {
					t.Errorf("after the end, the opening took %v s", sum)
				}
				if sum := x.sum("securews_connection_duration_seconds"); tt.lasted && (sum < 3600 || sum > 3619) || !tt.lasted && sum != 0 {
					t.Errorf("the connection lasted %v s", sum)
				}
			})
		})
	}
}

func openSocket(t *testing.T, server *wstest.Server) (end func()) {
	t.Helper()
	c, _, err := server.Dial(t.Context(), "/live", &websocket.DialOptions{HTTPHeader: as("ann")})
	must(t, err)
	go func() { _, _, _ = c.Read(context.Background()) }() // answers pings
	return func() { _ = c.CloseNow() }
}

func openStream(t *testing.T, server *wstest.Server) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, wstest.URL+"/live", nil)
	r.Header = as("ann")
	r.Header.Set("Accept", "text/event-stream")
	res, err := server.Client().Do(r)
	must(t, err)
	return func() { cancel(); _ = res.Body.Close() }
}

func coderSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, p, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), typ, p) != nil {
			return
		}
	}
}

func eventStream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = io.WriteString(w, ": open\n\n")
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Minute):
			if _, err := io.WriteString(w, ": still\n\n"); err != nil {
				return
			}
		}
	}
}

// A response counts once, under the status that the client gets.
func TestRequestsCountUnderTheirStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		method string
		next   http.HandlerFunc
		series string
	}{
		"no header is 200": {"GET", func(http.ResponseWriter, *http.Request) {}, "code=200,method=GET"},
		"a body without header": {
			"HEAD", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }, "code=200,method=HEAD",
		},
		"the first of two statuses": {
			"PUT", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); w.WriteHeader(500) }, "code=204,method=PUT",
		},
		"not an interim response": {
			"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, "code=404,method=GET",
		},
		"a panic is 500": {
			"POST", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "code=500,method=POST",
		},
		"a panic behind the header": {
			"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); panic(http.ErrAbortHandler) }, "code=202,method=GET",
		},
		"a flush is 200": {
			"GET", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, "code=200,method=GET",
		},
		"a file": {
			"GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) }, "code=200,method=GET",
		},
		"an answer to CONNECT":       {"CONNECT", func(http.ResponseWriter, *http.Request) {}, "code=200,method=CONNECT"},
		"a method of the peer's own": {"BREW", func(http.ResponseWriter, *http.Request) {}, "code=200,method=other"},
		"a status that has no name":  {"GET", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) }, "code=other,method=GET"},
		"a method in the wrong case": {"get", func(http.ResponseWriter, *http.Request) {}, "code=200,method=other"},
		"a refusal of the middleware": {"GET", func(w http.ResponseWriter, r *http.Request) {
			middleware.Refuse(w, r, middleware.Unauthorized(middleware.ReasonNoCredential, nil))
		}, "code=401,method=GET"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, metrics.Config{})
			func() {
				defer func() { _ = recover() }()
				s.Handler(tt.next).ServeHTTP(httptest.NewRecorder(),
					httptest.NewRequestWithContext(t.Context(), tt.method, "http://app.example/", nil))
			}()
			var got []string
			for _, series := range s.gathered().series() {
				if rest, ok := strings.CutPrefix(series, requests); ok {
					got = append(got, rest)
				}
			}
			if len(got) != 1 || got[0] != "{"+tt.series+"}" || s.gathered().value(requests, strings.Split(tt.series, ",")...) != 1 {
				t.Errorf("%q, want %q once", got, tt.series)
			}
		})
	}
}

// A backend's socket behind httputil.ReverseProxy counts until its 101, and works.
func TestProxiedSocketCountsUntilThe101(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, metrics.Config{})
		backend := wstest.NewServer(t, http.HandlerFunc(coderSocket))
		target, _ := url.Parse(wstest.URL)
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = backend.Client().Transport
		server := wstest.NewServer(t, s.Handler(proxy))
		c, _, err := server.Dial(t.Context(), "/", &websocket.DialOptions{HTTPHeader: as("ann")})
		must(t, err)
		time.Sleep(time.Hour)
		must(t, c.Write(t.Context(), websocket.MessageText, []byte("x")))
		_, p, err := c.Read(t.Context())
		must(t, err)
		if !bytes.Equal(p, []byte("x")) {
			t.Errorf("%q", p)
		}
		_ = c.CloseNow()
		synctest.Wait()
		x := s.gathered()
		x.want(t, map[string]float64{requests + "{code=101,method=GET}": 1})
		if sum := x.sum(requests, "code=101", "method=GET"); sum > 0.001 {
			t.Errorf("%v s", sum)
		}
	})
}

// The layer hides nothing of the writer: Flusher, Hijacker, io.ReaderFrom, Unwrap.
func TestLayerHidesNothing(t *testing.T) {
	s := newService(t, metrics.Config{})
	s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, ok := range map[string]bool{
			"Flusher": is[http.Flusher](w), "Hijacker": is[http.Hijacker](w), "ReaderFrom": is[io.ReaderFrom](w),
			"Unwrap": is[interface{ Unwrap() http.ResponseWriter }](w),
		} {
			if !ok {
				t.Errorf("%s is hidden", name)
			}
		}
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("a recorder is hijacked")
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

// promhttp's layer around a ws.Handler measures the same: the handler returns at the 101.
func TestPromhttpMeasuresAWSHandlerUntilThe101(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, metrics.Config{})
		latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "latency_seconds"}, []string{"code"})
		s.prom.MustRegister(latency)
		mux := http.NewServeMux()
		mux.Handle("/live", promhttp.InstrumentHandlerDuration(latency, s.socket(echo)))
		end := openSocket(t, wstest.NewServer(t, mux))
		time.Sleep(time.Hour)
		end()
		synctest.Wait()
		x := s.gathered()
		x.want(t, map[string]float64{"latency_seconds{code=101}": 1, "securews_connection_duration_seconds": 1})
		if sum := x.sum("latency_seconds", "code=101"); sum != 0 {
			t.Errorf("%v s", sum)
		}
	})
}

// A ws.Handler behind Registry.Handler takes the connection over, which the events show as
// an end and another opening; the page says so.
func TestHandlerBehindRegistryHandlerIsOpenedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, metrics.Config{})
		mux := http.NewServeMux()
		mux.Handle("/live", middleware.Chain(s.socket(echo), s.auth.Handler, s.Live().Handler))
		end := openSocket(t, wstest.NewServer(t, mux))
		synctest.Wait()
		s.gathered().want(t, map[string]float64{
			"securews_connections_open": 1, "securews_connections_opened_total": 2,
			"securews_connections_ended_total{code=1000,reason=none}": 1,
		})
		end()
		synctest.Wait()
		s.gathered().want(t, map[string]float64{"securews_connections_open": 0})
	})
}
