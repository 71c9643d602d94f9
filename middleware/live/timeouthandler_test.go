package live

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// The handlers of the test below. Their event streams are not flushed: a TimeoutHandler
// hides http.Flusher.
var slowHandlers = map[string]http.HandlerFunc{
	"an event stream": func(rw http.ResponseWriter, r *http.Request) {
		sayFirst(rw)
		<-r.Context().Done()
	},
	"a deaf event stream": func(rw http.ResponseWriter, _ *http.Request) {
		sayFirst(rw)
		for err := error(nil); err == nil; _, err = io.WriteString(rw, "data: 2\n\n") {
			time.Sleep(3 * time.Second)
		}
	},
	"a deaf and silent event stream": func(rw http.ResponseWriter, _ *http.Request) {
		sayFirst(rw)
		time.Sleep(30 * time.Second)
	},
	"a deaf poll": func(rw http.ResponseWriter, _ *http.Request) {
		time.Sleep(30 * time.Second)
		_, _ = io.WriteString(rw, "late")
	},
	"a long poll": func(rw http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, _ = io.WriteString(rw, "after the end")
	},
}

func sayFirst(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(rw, "data: 1\n\n")
}

// http.TimeoutHandler, here of 10 s, keeps the response until its handler returns: nothing
// streams on either side of it, and the response ends.
func TestTimeoutHandlerOnEitherSide(t *testing.T) {
	const problem = `{"type":"about:blank","title":"Unauthorized","status":401,"reason":"credential_revoked"}`
	after := func(s int) time.Duration { return time.Duration(s) * time.Second }
	for _, test := range []struct {
		name    string
		handler string
		method  string
		inside  bool // of the layer
		cause   *Cause
		at      time.Duration // of the end; nil cause: none
		status  int           // 0: aborted
		body    string
		answer  time.Duration // when it comes
		left    time.Duration // when the response ceases to be a member
	}{
		{
			name: "outside, it obeys", handler: "an event stream",
			cause: Revoked, at: after(1), status: 200, body: "data: 1\n\n" + farewell, answer: after(1), left: after(1),
		},
		{
			name: "outside, it is deaf", handler: "a deaf event stream",
			cause: Revoked, at: after(1), status: 200, body: "data: 1\n\n" + farewell, answer: after(3), left: after(3),
		},
		{
			name: "outside, it is silent, too", handler: "a deaf and silent event stream",
			cause: Revoked, at: after(1), status: 503, body: "timed out", answer: after(10), left: after(30),
		},
		{
			name: "outside, revoked after the time-out", handler: "a deaf and silent event stream",
			cause: Revoked, at: after(11), status: 503, body: "timed out", answer: after(10), left: after(30),
		},
		{
			name: "outside, a GET waits", handler: "a long poll",
			cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "outside, a POST waits", handler: "a long poll", method: http.MethodPost,
			cause: Revoked, at: after(1), status: 200, body: "after the end", answer: after(1), left: after(1),
		},
		{name: "outside, it is not ended", handler: "a long poll", status: 503, body: "timed out", answer: after(10), left: after(10)},
		{
			name: "inside, it obeys", inside: true, handler: "an event stream",
			cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "inside, it is deaf", inside: true, handler: "a deaf event stream",
			cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "inside, it is silent, too", inside: true, handler: "a deaf and silent event stream",
			cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "inside, a GET waits", inside: true, handler: "a long poll",
			cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "inside, a GET waits and is deaf", inside: true,
			handler: "a deaf poll", cause: Revoked, at: after(1), status: 401, body: problem, answer: after(1), left: after(1),
		},
		{
			name: "inside, a POST waits and is deaf", inside: true, handler: "a deaf poll",
			method: http.MethodPost, cause: Revoked, at: after(1), status: 503, answer: after(1), left: after(1),
		},
		{
			name: "inside, it is not ended", inside: true, handler: "a long poll",
			status: 503, body: "timed out", answer: after(10), left: after(10),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				var h http.Handler = slowHandlers[test.handler]
				if test.inside {
					h = w.front(http.TimeoutHandler(h, 10*time.Second, "timed out"))
				} else {
					h = http.TimeoutHandler(w.front(h), 10*time.Second, "timed out")
				}
				if test.cause != nil {
					time.AfterFunc(test.at, func() { w.endAll(test.cause) })
				}
				began := time.Now()
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				rec := answer(h, request("session", method))
				if took := time.Since(began); rec.Code != test.status || rec.Body.String() != test.body || took != test.answer {
					t.Errorf("%d %q after %v", rec.Code, rec.Body, took)
				}
				for w.open.Load() > 0 {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(began); took < test.left || took > test.left+20*time.Millisecond {
					t.Errorf("left after %v, want %v", took, test.left)
				}
				time.Sleep(time.Minute) // the handler returns
				synctest.Wait()
			})
		})
	}
}
