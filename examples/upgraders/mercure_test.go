package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// hub is an event stream as an existing service has it, in the manner of a Mercure hub:
// topics, a history that Last-Event-ID resumes, comments as heartbeats, and a deadline for
// each write. It knows nothing of the layer.
type hub struct {
	heartbeat time.Duration

	mu          sync.Mutex
	history     []update
	subscribers []*subscriber
}

type update struct {
	id          int
	topic, data string
}

type subscriber struct {
	topics  []string
	updates chan update
}

func (s *subscriber) wants(u update) bool {
	return slices.Contains(s.topics, "*") || slices.Contains(s.topics, u.topic)
}

func (h *hub) publish(topic, data string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := update{len(h.history) + 1, topic, data}
	h.history = append(h.history, u)
	for _, s := range h.subscribers {
		if s.wants(u) {
			s.updates <- u
		}
	}
}

// subscribe returns the updates that the client has missed, too.
func (h *hub) subscribe(topics []string, last int) (s *subscriber, missed []update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s = &subscriber{topics, make(chan update, 100)}
	h.subscribers = append(h.subscribers, s)
	for _, u := range h.history[min(last, len(h.history)):] {
		if s.wants(u) {
			missed = append(missed, u)
		}
	}
	return s, missed
}

func (h *hub) leave(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers = slices.DeleteFunc(h.subscribers, func(x *subscriber) bool { return x == s })
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers)
}

func (h *hub) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	last, err := strconv.Atoi(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("lastEventID"), "0"))
	topics := r.URL.Query()["topic"]
	if err != nil || len(topics) == 0 {
		http.Error(rw, "no topic, or not an id of this hub", http.StatusBadRequest)
		return
	}
	s, missed := h.subscribe(topics, last)
	defer h.leave(s)
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "private, no-cache, no-store, must-revalidate, max-age=0")
	rw.Header().Set("X-Accel-Buffering", "no")
	rw.Header().Set("Last-Event-ID", strconv.Itoa(last))
	if !send(rw, ":\n") {
		return
	}
	for _, u := range missed {
		if !send(rw, u.event()) {
			return
		}
	}
	heartbeat := time.NewTicker(h.heartbeat)
	defer heartbeat.Stop()
	for ok := true; ok; {
		select {
		case <-r.Context().Done():
			return
		case <-heartbeat.C:
			ok = send(rw, ":\n")
		case u := <-s.updates:
			ok = send(rw, u.event())
		}
	}
}

func (u update) event() string {
	return fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", u.topic, u.id, strings.ReplaceAll(u.data, "\n", "\ndata: "))
}

// send reports whether the client takes the text within a second.
func send(rw http.ResponseWriter, text string) bool {
	control := http.NewResponseController(rw)
	_ = control.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := rw.Write([]byte(text))
	return err == nil && control.Flush() == nil
}

// A subscriber of the hub ends within 20 ms of the logout, also if a heartbeat was the last
// that it got. Another session of the same user resumes the stream by Last-Event-ID.
func TestHubEndsWithTheSession(t *testing.T) {
	for _, kind := range []string{"TLS", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			h := &hub{heartbeat: 5 * time.Millisecond}
			watch := &stopwatch{}
			w := newWorld(t, kind, session.Config{}, live.Config{}, func(s *site) { s.bind("GET /hub", h); watch.mount(s) })
			var took []time.Duration
			for i := range rounds {
				cookie, other := w.login("ann"), w.login("ann")
				first := openEvents(t, w, "/hub?topic=news&topic=weather", cookie)
				h.publish("news", fmt.Sprint("before ", i))
				h.publish("private", "of another topic")
				first.readTo(t, fmt.Sprintf("event: news\nid: %d\ndata: before %d\n\n", 3*i+1, i))
				first.readTo(t, ":\n")
				w.logout(cookie)
				text, err := first.readAll()
				took = append(took, watch.until(time.Now()))
				if _, rest, _ := strings.Cut(text, "data: before"); !strings.HasSuffix(rest, "\n"+farewell) ||
					strings.Contains(rest, "private") || err != nil {
					t.Errorf("read %q, %v", text, err)
				}
				h.publish("weather", fmt.Sprint("after ", i))
				second := openEvents(t, w, "/hub?topic=*", other, "Last-Event-ID", fmt.Sprint(3*i+1))
				second.readTo(t, fmt.Sprintf("id: %d\ndata: of another topic\n\n", 3*i+2))
				second.readTo(t, fmt.Sprintf("event: weather\nid: %d\ndata: after %d\n\n", 3*i+3, i))
				w.logout(other)
				if text, err := second.readAll(); !strings.HasSuffix(text, farewell) || err != nil {
					t.Errorf("read %q, %v", text, err)
				}
			}
			wantWithin20ms(t, took)
			w.settled("ann")
			if n := h.count(); n != 0 {
				t.Errorf("the hub has %d subscribers", n)
			}
		})
	}
}
