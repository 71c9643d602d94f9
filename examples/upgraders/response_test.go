package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// streamWorld is the site with one event stream, at GET /stream.
type streamWorld struct {
	*world
	began, returned chan struct{} // of each request
}

func newStreamWorld(t *testing.T, kind string, handler http.HandlerFunc, outer, inner middleware.Middleware) *streamWorld {
	t.Helper()
	s := &streamWorld{began: make(chan struct{}, 1), returned: make(chan struct{}, 9)}
	cfg := live.Config{Timeouts: live.Timeouts{Grace: 200 * time.Millisecond}}
	s.world = newWorld(t, kind, session.Config{}, cfg, func(site *site) {
		h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			defer func() { s.returned <- struct{}{} }()
			handler(&announcing{rw, s.began}, r)
		}))
		if inner != nil {
			h = inner(h)
		}
		site.bind("GET /stream", h)
		if outer != nil {
			site.outer = append([]middleware.Middleware{outer}, site.outer...)
		}
	})
	return s
}

// announcing says when the handler has written.
type announcing struct {
	http.ResponseWriter
	began chan<- struct{}
}

func (w *announcing) Write(p []byte) (int, error) {
	defer func() {
		select {
		case w.began <- struct{}{}:
		default:
		}
	}()
	return w.ResponseWriter.Write(p)
}

func (w *announcing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// received waits for a value from a goroutine of the test or the server.
func received[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Errorf("%s: not within %v", what, patience)
	}
	return v
}

// begin signs ann in, has open begin a request with her cookie, and signs her out when the
// handler has written.
func (s *streamWorld) begin(t *testing.T, open func(cookie string)) {
	t.Helper()
	s.t = t
	for len(s.began) > 0 {
		<-s.began
	}
	cookie := s.login("ann")
	open(cookie)
	received(t, "the handler's first write", s.began)
	s.logout(cookie)
}

// answer is the response that a client has read.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of the body; curl: its exit code

	curl struct {
		exit           int
		version, error string
	}
}

func readGo(t *testing.T, s *streamWorld) answer {
	t.Helper()
	got := make(chan answer, 1)
	s.begin(t, func(cookie string) {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/stream", nil)
			r.Header = http.Header{"Cookie": {cookie}, "Accept": {"text/event-stream"}, "Accept-Encoding": {"gzip"}}
			resp, err := s.Client().Do(r)
			if err != nil {
				got <- answer{err: err}
				return
			}
			defer resp.Body.Close()
			a := answer{status: resp.StatusCode, header: resp.Header}
			a.body, a.err = io.ReadAll(resp.Body)
			got <- a
		}()
	})
	return received(t, "the client's end", got)
}

// wantEnding compares the answer with the ending, and wants that the handler has returned
// and nothing is open.
func (s *streamWorld) wantEnding(t *testing.T, got answer, encoded bool, want ending) {
	t.Helper()
	received(t, "the handler's return", s.returned)
	s.settled("ann")
	if want == replaced {
		isProblem := strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") &&
			bytes.Contains(got.body, []byte("credential_revoked"))
		if got.status != 401 || got.err != nil || !isProblem {
			t.Errorf("%d %q, %v; want %s", got.status, got.body, got.err, want)
		}
		return
	}
	text := string(got.body)
	if encoded {
		var whole bool
		if text, whole = gunzip(t, got); whole != (want != aborted) {
			t.Errorf("the gzip stream is whole: %v; want %s", whole, want)
		}
	}
	last := strings.TrimLeft(wholeEvents(text), "\n")
	wantLast := map[ending]string{told: farewell, toldOwn: own}[want]
	if clean := got.err == nil; got.status != 200 || clean != (want != aborted) || last != wantLast {
		t.Errorf("%d, error %v, after the events %q; want %s", got.status, got.err, last, want)
	}
	if isEncoded := got.header.Get("Content-Encoding") == "gzip"; isEncoded != encoded {
		t.Errorf("encoded %v, want %v", isEncoded, encoded)
	}
}

// wholeEvents takes the handler's events, numbered from 0 without a gap, off the text of a
// stream, and returns the rest.
func wholeEvents(text string) (rest string) {
	i := 0
	for more := true; more; i++ {
		text, more = strings.CutPrefix(text, fmt.Sprintf("data: %d\n\n", i))
	}
	if i == 1 {
		return "no events: " + text
	}
	return text
}

// gunzip wants a valid gzip stream, or the valid beginning of one, and returns its text and
// whether it is whole.
func gunzip(t *testing.T, got answer) (text string, whole bool) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(got.body))
	if err != nil {
		t.Errorf("no gzip stream: %v, %q", err, got.body)
		return "", false
	}
	b, err := io.ReadAll(z)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("not the beginning of a gzip stream: %v", err)
	}
	return string(b), err == nil
}
