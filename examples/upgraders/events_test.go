package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// events is an event stream that is being read.
type events struct {
	conn net.Conn
	text strings.Builder // so far
	body *bufio.Reader
}

// openEvents requests a stream with the cookie and further fields of the header.
func openEvents(t *testing.T, w *world, path, cookie string, header ...string) *events {
	t.Helper()
	e := &events{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { e.conn = i.Conn }})
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+path, nil)
	r.Header = http.Header{"Cookie": {cookie}, "Accept": {"text/event-stream"}}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	e.body = bufio.NewReader(resp.Body)
	return e
}

// readTo reads until the text has come.
func (e *events) readTo(t *testing.T, text string) {
	t.Helper()
	for begun := e.text.Len(); !strings.HasSuffix(e.text.String()[begun:], text); {
		c, err := e.body.ReadByte()
		if err != nil {
			t.Fatalf("read %q, %v; want %q", e.text.String()[begun:], err, text)
		}
		e.text.WriteByte(c)
	}
}

// readAll returns the text of the whole stream.
func (e *events) readAll() (string, error) {
	b, err := io.ReadAll(e.body)
	e.text.Write(b)
	return e.text.String(), err
}

// stopwatch is a layer in front of the site that takes the time at which a request for a
// logout arrives: the handshake of its connection is not part of the measurement.
type stopwatch struct{ began atomic.Pointer[time.Time] }

func (x *stopwatch) start() {
	now := time.Now()
	x.began.Store(&now)
}

func (x *stopwatch) layer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logout" {
			x.start()
		}
		next.ServeHTTP(rw, r)
	})
}

// until returns how long after the logout a stream ended.
func (x *stopwatch) until(end time.Time) time.Duration { return end.Sub(*x.began.Load()) }

// mount puts the layer in front of all others.
func (x *stopwatch) mount(s *site) { s.outer = append([]middleware.Middleware{x.layer}, s.outer...) }

// rounds is how often a test measures the time from the logout to the end of a stream.
const rounds = 7

// wantWithin20ms wants that the shortest of the times is at most 20 ms: another process on
// the machine prolongs some of them.
func wantWithin20ms(t *testing.T, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	t.Logf("from the logout to the end of the stream: best %v, median %v, worst %v", took[0], took[len(took)/2], took[len(took)-1])
	if took[0] > 20*time.Millisecond {
		t.Errorf("the stream ended %v after the logout, want at most 20 ms", took[0])
	}
}
