package live

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

const farewell = "event: end\ndata: {\"code\":3000,\"reason\":\"revoked\"}\n\n"

// get asks as ann does, and returns the response and what its body brings until it ends.
func get(t *testing.T, s *httptest.Server, session, method string, header ...string) (*http.Response, func() (string, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, method, s.URL, nil)
	r.Header.Set("Session", session)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		return nil, func() (string, error) { return "", err }
	}
	return res, func() (string, error) {
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
}

// shortGrace is for tests of the cut after it. Others have a long one, within which a busy machine
// does its part.
const shortGrace = 200 * time.Millisecond

// bothHTTP runs a test on HTTP/1.1 with and without TLS, and on HTTP/2.
func bothHTTP(t *testing.T, grace time.Duration, fn func(t *testing.T, w *world, kind string)) {
	t.Helper()
	for _, kind := range []string{"plain", "TLS", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			fn(t, newWorld(t, Config{Timeouts: Timeouts{Grace: grace}}), kind)
		})
	}
}

func beginEvents(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(rw, "data: 1\n\n")
	rw.(http.Flusher).Flush()
}

// An event stream ends with the reason, whether the handler obeys its context or is deaf.
func TestEventStreamEndsWithTheReason(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(rw http.ResponseWriter, r *http.Request) error{
		"obeys": func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return nil },
		"speaks itself": func(rw http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			_, _ = io.WriteString(rw, "event: bye\ndata: 2\n\n")
			return nil
		},
		"is deaf": func(rw http.ResponseWriter, _ *http.Request) error {
			for {
				time.Sleep(5 * time.Millisecond)
				if _, err := io.WriteString(rw, ": tick\n\n"); err != nil {
					return err
				}
			}
		},
		"is deaf and within an event": func(rw http.ResponseWriter, _ *http.Request) error {
			for {
				for _, part := range []string{"data: ", "tick", "\n", "\n"} {
					time.Sleep(5 * time.Millisecond)
					if _, err := io.WriteString(rw, part); err != nil {
						return err
					}
				}
			}
		},
		"is deaf and silent": func(http.ResponseWriter, *http.Request) error { time.Sleep(700 * time.Millisecond); return nil },
	} {
		grace := patience
		if strings.Contains(name, "silent") { // its end is the cut
			grace = shortGrace
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothHTTP(t, grace, func(t *testing.T, w *world, kind string) {
				ended := make(chan error, 1)
				s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					beginEvents(rw)
					ended <- handler(rw, r)
				})), kind)
				res, body := get(t, s, "session", http.MethodGet, "Accept", "text/event-stream")
				if res == nil {
					t.Fatal(body())
				}
				time.AfterFunc(30*time.Millisecond, func() { w.signOut("session") })
				got, err := body()
				if !strings.HasPrefix(got, "data: 1\n\n") || !strings.HasSuffix(got, "\n\n"+farewell) {
					t.Errorf("read %q", got)
				}
				if err != nil && !strings.Contains(name, "silent") { // HTTP/2 is reset after the second grace
					t.Error(err)
				}
				if err := received(t, "the handler's end", ended); err != nil && !errors.Is(err, Revoked) {
					t.Errorf("the handler got %v, want the cause", err)
				}
				w.settled()
			})
		})
	}
}

// An event stream learns of its end at once, and not at the end of a grace of an hour, though its
// handler is deaf and silent.
func TestEventStreamOfASilentHandlerEndsAtOnce(t *testing.T) {
	t.Parallel()
	bothHTTP(t, time.Hour, func(t *testing.T, w *world, kind string) {
		release := make(chan struct{})
		s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			beginEvents(rw)
			<-release
		})), kind)
		defer close(release)
		res, _ := get(t, s, "session", http.MethodGet)
		if res == nil {
			t.Fatal("no response")
		}
		defer res.Body.Close()
		w.signOut("session")
		b := make([]byte, len("data: 1\n\n")+len(farewell))
		if _, err := io.ReadFull(res.Body, b); err != nil || !strings.HasSuffix(string(b), farewell) {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// A safe request without an answer yet is refused, with the headers of outer layers. Another
// one is cut.
func TestLongPollBecomesARefusal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method string
		cause        *Cause
		status       int
		reason       string
	}{
		{name: "GET, revoked", method: http.MethodGet, cause: Revoked, status: 401, reason: "credential_revoked"},
		{name: "GET, expired", method: http.MethodGet, cause: Expired, status: 401, reason: "credential_expired"},
		{
			name: "GET, other roles", method: http.MethodGet,
			cause:  Reauth.Wrap(middleware.Unauthorized(middleware.ReasonCredentialOutdated, nil)),
			status: 401, reason: "credential_outdated",
		},
		{name: "GET, too old", method: http.MethodGet, cause: Reauth, status: 401, reason: "credential_expired"},
		{name: "GET, forbidden", method: http.MethodGet, cause: Forbidden, status: 403, reason: "forbidden"},
		{name: "GET, restart", method: http.MethodGet, cause: Restart, status: 503, reason: "unavailable"},
		{name: "a POST may have had its effect: cut", method: http.MethodPost, cause: Revoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bothHTTP(t, patience, func(t *testing.T, w *world, kind string) {
				causes := make(chan error, 9)
				s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					done := r.Context().Done() // it is a member now
					time.AfterFunc(20*time.Millisecond, func() { w.endAll(test.cause) })
					<-done
					causes <- context.Cause(r.Context())
				})), kind)
				res, body := get(t, s, "session", test.method)
				if cause := received(t, "the end", causes); !errors.Is(cause, test.cause) {
					t.Errorf("cause of the context: %v", cause)
				}
				switch {
				case test.status == 0:
					if res != nil {
						t.Errorf("answered %d", res.StatusCode)
					}
				case res == nil:
					t.Error(body())
				default:
					got, _ := body()
					if res.StatusCode != test.status || !strings.Contains(got, test.reason) || res.Header.Get("X-Outer") == "" ||
						res.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("%d %v %q", res.StatusCode, res.Header, got)
					}
				}
				w.settled()
			})
		})
	}
}

// A download by io.Copy ends within two graces, and does not look complete.
func TestDownloadIsAborted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprint("chunked ", chunked), func(t *testing.T) {
			t.Parallel()
			bothHTTP(t, shortGrace, func(t *testing.T, w *world, kind string) {
				ended := make(chan error, 1)
				s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					f, err := os.Open(path)
					if err != nil {
						t.Error(err)
						return
					}
					defer f.Close()
					if !chunked {
						rw.Header().Set("Content-Length", fmt.Sprint(64<<20))
					}
					_, err = io.Copy(rw, f)
					ended <- err
				})), kind)
				res, body := get(t, s, "session", http.MethodGet)
				if res == nil {
					t.Fatal(body())
				}
				if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
					t.Fatal(err)
				}
				w.signOut("session")
				if err := received(t, "the handler's end", ended); err == nil {
					t.Error("the handler has written all")
				}
				if got, err := body(); err == nil {
					t.Errorf("%d B look complete", len(got))
				}
				w.settled()
			})
		})
	}
}

// A compressed event stream stays a valid one: nothing is written into it.
func TestCompressedStreamStaysValid(t *testing.T) {
	t.Parallel()
	bothHTTP(t, patience, func(t *testing.T, w *world, kind string) {
		s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			rw.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(rw)
			defer z.Close()
			_, _ = io.WriteString(z, "data: 1\n\n")
			_ = z.Flush()
			rw.(http.Flusher).Flush()
			<-r.Context().Done()
		})), kind)
		res, body := get(t, s, "session", http.MethodGet, "Accept-Encoding", "gzip")
		if res == nil {
			t.Fatal(body())
		}
		w.signOut("session")
		raw, err := body()
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); string(got) != "data: 1\n\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		w.settled()
	})
}

// The end of one stream of an HTTP/2 connection leaves its neighbours alone.
func TestNeighbourStreamGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: 50 * time.Millisecond}})
	release, over := make(chan struct{}), make(chan struct{})
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		beginEvents(rw)
		if r.Header.Get("Session") == "deaf" {
			<-over
			return
		}
		select {
		case <-release:
			_, _ = io.WriteString(rw, "data: 2\n\n")
		case <-r.Context().Done():
		}
	})), "HTTP/2")
	_, neighbour := get(t, s, "neighbour", http.MethodGet)
	_, deaf := get(t, s, "deaf", http.MethodGet)
	w.signOut("deaf")
	if got, err := deaf(); err == nil || got != "data: 1\n\n"+farewell {
		t.Errorf("deaf: %q, %v", got, err)
	}
	close(over)
	close(release)
	if got, err := neighbour(); err != nil || got != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("neighbour: %q, %v", got, err)
	}
	w.settled()
}
