package live

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The event of the layer must not join the fields of another one (HTML §9.2.6).
func TestBetweenEvents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		between    bool
	}{
		{"the start", "", true},
		{"an event", "data: 1\n\n", true},
		{"an event of CRs", "data: 1\r\r", true},
		{"an event of CRLFs", "data: 1\r\n\r\n", true},
		{"an event, then an empty line", "data: 1\n\n\n", true},
		{"LF, then CRLF", "data: 1\n\r\n", true},
		{"the CR of a CRLF after an event", "data: 1\n\r", true},
		{"within a field", "data: 1", false},
		{"after a field", "data: 1\n", false},
		{"after a field of CRLF", "data: 1\r\n", false},
		{"after a name alone", "id: 7\n", false},
		{"after two fields", "id: 7\r\ndata: 1\r\n", false},
		{"a comment at the start", ":\n", true},
		{"a comment after an event", "data: 1\n\n: heartbeat\n", true},
		{"comments of each kind of end", ":\n:a\r:b\r\n", true},
		{"within a comment", "data: 1\n\n: heart", false},
		{"a comment within an event", "data: 1\n:\n", false},
		{"a comment within an event, which then ends", "data: 1\n:\n\n", true},
		{"a colon within a field", "data:\n:\n", false},
	} {
		var l eventLines
		l.pass([]byte(test.text))
		if got := l.betweenEvents(); got != test.between {
			t.Errorf("%s: %q: %v", test.name, test.text, got)
		}
	}
}

// The layer agrees with a parser of the whole text for all writes of the handler.
func FuzzBetweenEvents(f *testing.F) {
	f.Add("data: 1\r\n\r\n:\rid: 7\n\n", 8)
	f.Add(":\n", 1)
	f.Add("data: 1\n\r\n", 9)
	f.Fuzz(func(t *testing.T, text string, at int) {
		var l eventLines
		at = max(0, min(at, len(text)))
		l.pass([]byte(text[:at]))
		l.pass([]byte(text[at:]))
		if got := l.betweenEvents(); got != parsesWhole(text) {
			t.Errorf("%q | %q: %v", text[:at], text[at:], got)
		}
	})
}

// parsesWhole reports whether nothing but comments follows the last event.
func parsesWhole(text string) bool {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] != "" {
		return false // the last line has not ended
	}
	whole := true
	for _, line := range lines[:len(lines)-1] {
		switch {
		case line == "":
			whole = true
		case line[0] != ':':
			whole = false
		}
	}
	return whole
}

// A hub sends a comment at intervals, so that proxies keep the connection: its stream gets
// the last event behind a comment, too, and a deaf handler's next comment is refused.
func TestHeartbeatHidesNoLastEvent(t *testing.T) {
	for name, handler := range map[string]func(rw http.ResponseWriter, r *http.Request){
		"obeys": func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(rw, ":\n")
			<-r.Context().Done()
		},
		"is deaf": func(rw http.ResponseWriter, _ *http.Request) {
			for _, err := io.WriteString(rw, ":\n"); err == nil; _, err = io.WriteString(rw, ":\n") {
				time.Sleep(2 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				time.AfterFunc(time.Second, func() { w.signOut("session") })
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { beginEvents(rw); handler(rw, r) }))
				if got := answer(h, request("session", http.MethodGet)).Body.String(); got != "data: 1\n\n:\n"+farewell {
					t.Errorf("read %q", got)
				}
			})
		})
	}
}
