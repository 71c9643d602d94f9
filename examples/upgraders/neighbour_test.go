package main

import (
	"maps"
	"net/http"
	"testing"
)

// Two users have a stream each over one HTTP/2 connection. The logout of one ends the own
// stream, by the handler or by a reset, and the other stream goes on until its own logout.
func TestNeighbourOnTheSameConnectionGoesOn(t *testing.T) {
	t.Parallel()
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	all := maps.Clone(handlers)
	all["is deaf and silent"] = func(rw http.ResponseWriter, _ *http.Request) {
		_ = say(rw, 0)
		<-silent
	}
	for name, handler := range all {
		t.Run("handler "+name, func(t *testing.T) {
			t.Parallel()
			s := newStreamWorld(t, "HTTP/2", func(rw http.ResponseWriter, r *http.Request) {
				if r.FormValue("user") == "ben" {
					handlers["obeys"](rw, r)
				} else {
					handler(rw, r)
				}
			}, nil, nil)
			s.t = t
			cookies := map[string]string{"ann": s.login("ann"), "ben": s.login("ben")}
			ann := openEvents(t, s.world, "/stream?user=ann", cookies["ann"])
			ben := openEvents(t, s.world, "/stream?user=ben", cookies["ben"])
			ann.readTo(t, "\n\n")
			ben.readTo(t, "\n\n")
			if ann.conn != ben.conn {
				t.Fatal("the streams have two connections")
			}
			s.logout(cookies["ann"])
			text, err := ann.readAll()
			if last := wholeEvents(text); last != farewell || (err != nil) != (name == "is deaf and silent") {
				t.Errorf("ann: %q, %v", last, err)
			}
			for range 20 {
				ben.readTo(t, "\n\n")
			}
			s.logout(cookies["ben"])
			text, err = ben.readAll()
			if last := wholeEvents(text); last != farewell || err != nil {
				t.Errorf("ben: %q, %v", last, err)
			}
			s.settled("ben")
		})
	}
}
