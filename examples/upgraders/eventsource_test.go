package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// sources opens two EventSources and records the type of each of their events, with readyState
// (0 connecting, 1 open, 2 closed for good; HTML §9.2.2).
const sources = `
window.seen = {};
window.listen = (path, atEnd) => {
	const source = new EventSource(path);
	const note = (e) => (seen[path] ??= []).push(e.type + " " + source.readyState + (e.data ? " " + e.data : ""));
	source.onopen = source.onerror = note;
	source.addEventListener("end", (e) => { note(e); atEnd(source); });
	source.addEventListener("message", () => { seen[path].begun = true; }, { once: true });
	window[path] = source;
};
listen("/kept", () => {});
listen("/closed", (source) => source.close());
""`

// stops are two ends of an event stream, and the status of the answer when an EventSource
// connects again.
var stops = []struct {
	name, reason string
	end          func(w *world, p *page)
	status       int
}{
	{
		name: "sign-out", reason: `{"code":3000,"reason":"revoked"}`, status: http.StatusUnauthorized,
		end: func(_ *world, p *page) { p.text(`fetch("/logout", { method: "POST" }).then(() => "")`) },
	},
	{
		name: "shutdown", reason: `{"code":1012,"reason":"restart"}`, status: http.StatusServiceUnavailable,
		end: func(w *world, _ *page) {
			ctx, cancel := context.WithTimeout(w.t.Context(), patience)
			defer cancel()
			if err := w.registry.Shutdown(ctx); err != nil { // the server still answers
				w.t.Error(err)
			}
		},
	},
}

// An EventSource reads the reason, connects once more and stops at the refusal. A page that
// closes it at the event does not connect again.
func TestEventSourceStops(t *testing.T) {
	t.Parallel()
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			browser := b.start(t)
			for _, tt := range stops {
				t.Run(tt.name, func(t *testing.T) {
					w, log := newSourceWorld(t)
					p := openPage(t, browser, w.URL)
					p.text(`fetch("/login?user=ann", { method: "POST" }).then((r) => r.statusText)`)
					p.text(sources)
					p.waitFor(`seen["/kept"]?.begun && seen["/closed"]?.begun`)
					tt.end(w, p)
					// Once the source that is kept has connected again, the other would have
					// done so too.
					p.waitFor(`window["/kept"].readyState === 2`)
					if got, want := p.text(`seen["/kept"].join("; ")`), "open 1; end 1 "+tt.reason+"; error 0; error 2"; got != want {
						t.Errorf("the source that is kept has seen %q, want %q", got, want)
					}
					if got, want := p.text(`seen["/closed"].concat(window["/closed"].readyState).join("; ")`),
						"open 1; end 1 "+tt.reason+"; 2"; got != want {
						t.Errorf("the source that is closed has seen %q, want %q", got, want)
					}
					wantRequests(t, log, "/kept", 200, tt.status)
					wantRequests(t, log, "/closed", 200)
				})
			}
		})
	}
}

// newSourceWorld serves the page, and two event streams, whose requests are in the log.
func newSourceWorld(t *testing.T) (*world, *logBook) {
	t.Helper()
	log := &logBook{}
	outside := middleware.AccessLog(slog.New(slog.NewTextHandler(log, nil)))
	timeouts := live.Timeouts{Spread: time.Second}
	w := newWorld(t, "HTTP/2", session.Config{}, live.Config{Timeouts: timeouts}, func(s *site) {
		s.outer = append([]middleware.Middleware{outside}, s.outer...)
		s.bind("GET /kept", eventStream(time.Second))
		s.bind("GET /closed", eventStream(time.Second))
		if err := s.bindPage(nil); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.CloseClientConnections) // a test that has failed leaves streams open
	return w, log
}

// wantRequests wants one request of the path for each status, and no other.
func wantRequests(t *testing.T, log *logBook, path string, statuses ...int) {
	t.Helper()
	eventually(t, "every request of "+path+" in the log", func() bool { return log.count("path="+path+" ") >= len(statuses) })
	for _, status := range statuses {
		if n := log.count("path="+path+" ", fmt.Sprintf("status=%d ", status)); n != 1 {
			t.Errorf("%s was answered with %d %d times, want once", path, status, n)
		}
	}
	if n := log.count("path=" + path + " "); n != len(statuses) {
		t.Errorf("%s was requested %d times, want %d:\n%s", path, n, len(statuses), log.String())
	}
}
