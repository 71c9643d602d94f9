package ws_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// A shutdown admits no request, spreads its closes, and does not wait for a silent peer.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Limits: live.Limits{PerPrincipal: 1000}}, ws.Config{Timeouts: ws.Timeouts{Idle: time.Hour}})
		const count = 200
		var ends []chan ended
		for range count {
			ends = append(ends, n.watch("ann"))
		}
		n.connect("silent") // never answers
		synctest.Wait()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- n.live.Shutdown(ctx) }()
		synctest.Wait()
		if _, res, err := n.try("late"); err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Errorf("a late handshake is answered %v, %v, want 503 with Retry-After", res, err)
		}
		perSecond := map[int]int{}
		for _, end := range ends {
			e := <-end
			if e.Code != 1012 || e.Reason != "restart" {
				t.Errorf("closed with %v, want 1012 restart", e.CloseError)
			}
			perSecond[int(e.after/time.Second)]++
		}
		for s, k := range perSecond {
			if s > 5 || k > count/2 {
				t.Errorf("%d closed in second %d, want them spread over 5 s", k, s)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 10*time.Second {
			t.Errorf("drained after %v", d)
		}
	})
}

func TestDrainCutsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startLive(t, live.Config{Timeouts: live.Timeouts{Spread: time.Hour}}, ws.Config{Timeouts: ws.Timeouts{Close: time.Hour}})
		n.connect("silent")
		n.connect("too")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		shutdown(ctx, t, n.live)
		if d := time.Since(begun); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("drained after %v, want 10 s", d)
		}
	})
}

func TestDrainNamesAServeThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		n := start(t, ws.Config{Serve: func(context.Context, *ws.Conn) error { <-stuck; return nil }})
		c := n.connect("ann")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		defer close(stuck)
		go ending(c)
		if err := n.live.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 members") {
			t.Errorf("got %v", err)
		}
	})
}
