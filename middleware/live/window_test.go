package live

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// However the refusal of an entry meets the header of the handler: the client gets one or the
// other, and never the 200 that net/http sends if neither is written.
func TestRefusalMeetsHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Limits: Limits{PerPrincipal: 1}, Events: func(Event) {}})
	defer w.join(ann).Leave(nil)
	var entering sync.WaitGroup
	h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		begin := make(chan struct{})
		entering.Go(func() { <-begin; r.Context().Done() })
		close(begin)
		rw.WriteHeader(http.StatusNoContent)
	}))
	seen := map[int]int{}
	for range 5000 {
		seen[answer(h, request("session", http.MethodGet)).Code]++
		entering.Wait()
	}
	delete(seen, http.StatusNoContent)
	delete(seen, http.StatusTooManyRequests)
	if len(seen) > 0 {
		t.Errorf("answered %v, want 204 or 429", seen)
	}
}

// A goroutine that outlives its handler may learn of the end while the handler returns.
func TestEndMeetsReturn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Events: func(Event) {}})
	w.join(ann).Leave(nil) // the Auth is followed
	var entering sync.WaitGroup
	h := w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.signOut(r.Header.Get("Session"))
		entering.Go(func() { r.Context().Done() })
	}))
	for i := range 1000 {
		answer(h, request(fmt.Sprint("session ", i), http.MethodPost))
	}
	entering.Wait()
}
