package live

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// The zero Registry has no numbers, and asking for them harms nothing.
func TestStatsOfTheZeroRegistry(t *testing.T) {
	t.Parallel()
	for _, g := range []*Registry{nil, {}} {
		if s := g.Stats(); s.Open != 0 || s.Closes != nil {
			t.Errorf("%+v", s)
		}
	}
}

// Open is the number of members, whether Config.Events is called or not; and the events that
// it was not called for are counted, before and after the log has reported them.
func TestStatsHaveTheOpenAndTheDroppedEvents(t *testing.T) {
	const waiting = 4 * 256 // 4 × Limits.Connections
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWorld(t, Config{Limits: Limits{Connections: 256}, Events: func(Event) { <-release }})
		f := w.join(ann)
		synctest.Wait() // its event is being called for
		for range waiting + 100 {
			w.Refused("x")
		}
		if s := w.Stats(); s.Open != 1 || s.EventsDropped != 100 {
			t.Errorf("%d open, %d dropped; want 1 and 100", s.Open, s.EventsDropped)
		}
		f.Leave(Revoked)
		close(release)
		synctest.Wait()
		if s := w.Stats(); s.Open != 0 || s.EventsDropped != 101 {
			t.Errorf("%d open, %d dropped; want 0 and 101", s.Open, s.EventsDropped)
		}
	})
}

// What members count is summed up, and stays when they have left.
func TestStatsSumUpWhatMembersCount(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		a, b := w.join(ann), w.join(ann)
		a.Count(Traffic{1, 10}, Traffic{2, 20}, 300)
		b.Count(Traffic{3, 30}, Traffic{4, 40}, 400)
		a.Count(Traffic{}, Traffic{}, -300)
		a.Leave(Revoked)
		if s := w.Stats(); s.Received != (Traffic{4, 40}) || s.Sent != (Traffic{6, 60}) || s.QueueBytes != 400 {
			t.Errorf("%+v", s)
		}
		b.Leave(Revoked)
	})
}

// A duration is counted in the bucket of its upper bound, inclusively, and in all above.
func TestHistogramsAreCumulative(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f := w.join(ann)
		for _, d := range []time.Duration{time.Millisecond, time.Millisecond + 1, time.Second, time.Hour} {
			f.Heartbeat(d)
		}
		h := w.Stats().Heartbeats
		got := map[time.Duration]uint64{}
		for _, b := range h.Buckets {
			got[b.Upper] = b.Count
		}
		if got[time.Millisecond] != 1 || got[2500*time.Microsecond] != 2 || got[time.Second] != 3 || got[10*time.Second] != 3 {
			t.Errorf("buckets %v", got)
		}
		if h.Count != 4 || h.Sum != time.Hour+time.Second+2*time.Millisecond+1 {
			t.Errorf("count %d, sum %v", h.Count, h.Sum)
		}
		f.Leave(Revoked)
	})
}

// Closed counts from the end to the close frame, under the registry's own causes only.
func TestClosedCountsTheTimeSinceTheEnd(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		f, early := w.join(ann), w.join(ann)
		early.Closed(Revoked) // it has not ended
		f.Ending()
		time.Sleep(300 * time.Millisecond)
		f.Closed(&Cause{Code: 4000, Reason: "kicked"})
		f.Closed(Expired.Wrap(Revoked))
		for cause, h := range w.Stats().Closes {
			want := Histogram{}
			if cause == Expired {
				want.Count, want.Sum = 1, 300*time.Millisecond
			}
			if h.Count != want.Count || h.Sum != want.Sum {
				t.Errorf("%v: %d, %v", cause, h.Count, h.Sum)
			}
		}
		f.Leave(Expired)
		f.Closed(Expired) // it has left
		early.Leave(Expired)
		if n := w.Stats().Closes[Expired].Count; n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// The close frame to a socket of another library is counted.
func TestCloseFrameOfALibraryIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience}})
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoByHand(false, rw, r) })), "plain")
	c, _ := w.connect(s, "session", false)
	defer c.CloseNow()
	echoes(t, c, 10)
	w.signOut("session")
	wantClosed(t, c, 3000, "revoked")
	w.settled()
	if n := w.Stats().Closes[Revoked].Count; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// The last event of an event stream counts as its close frame.
func TestLastEventIsCounted(t *testing.T) {
	t.Parallel()
	bothHTTP(t, patience, func(t *testing.T, w *world, kind string) {
		s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			beginEvents(rw)
			<-r.Context().Done()
		})), kind)
		_, body := get(t, s, "session", http.MethodGet, "Accept", "text/event-stream")
		w.signOut("session")
		if text, err := body(); err != nil || text != "data: 1\n\n"+farewell {
			t.Fatalf("%q, %v", text, err)
		}
		w.settled()
		if n := w.Stats().Closes[Revoked].Count; n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}
