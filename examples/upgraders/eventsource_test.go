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

// source is an EventSource of a page, with what happens to it: the type of each event, and
// readyState (0 connecting, 1 open, 2 closed for good; HTML §9.2.2).
const source = `
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

// An EventSource reads the reason, connects once more and stops at the refusal. A page that
// closes it at the event does not connect again.
func TestEventSourceStops(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		end    func(w *world, p *page)
		reason string
		status int // of the answer to the one that connects again
	}{
		{
			"at a sign-out", func(_ *world, p *page) { p.text(`fetch("/logout", { method: "POST" }).then(() => "")`) },
			`{"code":3000,"reason":"revoked"}`, http.StatusUnauthorized,
		},
		{
			"at a shutdown", func(w *world, _ *page) {
				ctx, cancel := context.WithTimeout(w.t.Context(), patience)
				defer cancel()
				if err := w.registry.Shutdown(ctx); err != nil { // the server goes on, as others behind the same address do
					w.t.Error(err)
				}
			},
			`{"code":1012,"reason":"restart"}`, http.StatusServiceUnavailable,
		},
	} {
		for _, b := range browsers {
			t.Run(b.name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				tabs := b.start(t)
				log := &logBook{}
				w := newWorld(t, "HTTP/2", session.Config{}, live.Config{Timeouts: live.Timeouts{Spread: time.Second}}, func(s *site) {
					s.outer = append([]middleware.Middleware{middleware.AccessLog(slog.New(slog.NewTextHandler(log, nil)))}, s.outer...)
					s.bind("GET /kept", eventStream(time.Second))
					s.bind("GET /closed", eventStream(time.Second))
					if err := s.bindPage(nil); err != nil {
						t.Error(err)
					}
				})
				p := openPage(t, tabs, w.URL)
				p.text(`fetch("/login?user=ann", { method: "POST" }).then((r) => r.statusText)`)
				p.text(source)
				p.waitFor(`seen["/kept"]?.begun && seen["/closed"]?.begun`)
				tt.end(w, p)
				// Once the source that the page keeps has connected again, the other would
				// have done so too.
				p.waitFor(`window["/kept"].readyState === 2`)
				if got, want := p.text(`seen["/kept"].join("; ")`), "open 1; end 1 "+tt.reason+"; error 0; error 2"; got != want {
					t.Errorf("the source that is kept has seen %q, want %q", got, want)
				}
				if got, want := p.text(`seen["/closed"].concat(window["/closed"].readyState).join("; ")`), "open 1; end 1 "+tt.reason+"; 2"; got != want {
					t.Errorf("the source that is closed has seen %q, want %q", got, want)
				}
				for _, path := range []string{"/kept", "/closed"} {
					eventually(t, "the end of "+path+" in the log", func() bool { return log.count("path="+path+" ", "status=200") == 1 })
				}
				if all, refused := log.count("path=/kept "), log.count("path=/kept ", fmt.Sprintf("status=%d", tt.status)); all != 2 || refused != 1 {
					t.Errorf("%d requests of the source that is kept, %d refused with %d; want 2 and 1\n%s", all, refused, tt.status, log.String())
				}
				if all := log.count("path=/closed "); all != 1 {
					t.Errorf("%d requests of the source that is closed, want 1\n%s", all, log.String())
				}
			})
		}
	}
}
