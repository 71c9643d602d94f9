package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/securews/securews/ws/redial"
)

// The sockets of a storm stay for some seconds after its report is complete, and belong to no other
// one: until they are closed no second storm begins, and the report does not change.
func TestStormsDoNotOverlap(t *testing.T) {
	for _, phase := range []string{"done", "failed"} {
		s := &storm{url: "wss://127.0.0.1/socket", dial: http.DefaultClient}
		if !s.begin() {
			t.Fatal("the first storm does not begin")
		}
		client := s.counted()
		client(redial.State{Phase: redial.Open})
		s.setPhase(phase)
		client(redial.State{Phase: redial.Closed})
		if s.report.Open != 1 || len(s.report.Ends) != 0 {
			t.Errorf("%s: the report has become %+v", phase, s.report)
		}
		answer := httptest.NewRecorder()
		s.start(answer, httptest.NewRequest(http.MethodPost, "/api/storm", nil))
		if answer.Code != http.StatusConflict {
			t.Errorf("%s: a second storm is answered with %d, want 409", phase, answer.Code)
		}
		s.finish()
		if !s.begin() {
			t.Errorf("%s: no other storm begins after the end of one", phase)
		}
	}
}
