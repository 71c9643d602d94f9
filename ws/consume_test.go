package ws_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws"
)

// hangs is an authenticator whose store does not answer.
type hangs struct {
	release chan struct{}
	asked   *atomic.Int64
}

func (hangs) Ambient() bool { return false }

func (hangs) Authenticate(*http.Request) (middleware.Principal, error) {
	return middleware.Principal{}, middleware.ErrNoCredential
}

func (s hangs) Consume(*http.Request) {
	s.asked.Add(1)
	<-s.release
}

// Wrong requests consume their tickets, but do not pile up behind a store that hangs.
func TestWrongRequestsDoNotPileUpBehindAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hangs{make(chan struct{}), new(atomic.Int64)}
		h := handler(t, ws.Config{Auth: auth(t, s)})
		var answered atomic.Int64
		ask := func() {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "https://app.example/ws", nil))
			if rec.Code != http.StatusUpgradeRequired {
				t.Errorf("answered %d, want 426", rec.Code)
			}
			answered.Add(1)
		}
		var asking sync.WaitGroup
		for range 300 {
			asking.Go(ask)
		}
		synctest.Wait()
		if s.asked.Load() != 256 || answered.Load() != 44 {
			t.Errorf("%d wait for the store, %d are answered; want 256 and 44", s.asked.Load(), answered.Load())
		}
		close(s.release)
		asking.Wait()
		ask()
		if s.asked.Load() != 257 {
			t.Error("none is asked for the next request")
		}
	})
}
