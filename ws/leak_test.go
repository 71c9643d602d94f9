package ws_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// soak is a handler that is opened and left in every way, over the kernel's sockets.
type soak struct {
	kernelNode
	live   *live.Registry
	places int
}

func startSoak(t *testing.T, places int) *soak {
	t.Helper()
	users := admit(func(r *http.Request) (middleware.Principal, error) {
		p := middleware.Principal{Issuer: "test", Subject: r.Header.Get("X-User"), SessionHandle: "s", TokenHandle: "t"}
		switch p.Subject {
		case "":
			return p, middleware.ErrNoCredential
		case "ends":
			p.Expires = time.Now().Add(time.Millisecond)
		}
		return p, nil
	})
	s := &soak{places: places}
	s.live = registry(t, live.Config{
		Limits: live.Limits{Connections: places, PerPrincipal: places}, Log: slog.New(slog.DiscardHandler),
		Events: func(live.Event) {},
	})
	s.kernelNode = serveKernel(t, false, ws.Config{
		Auth: auth(t, middleware.WithRevocations(users, middleware.NewRevocations())), Live: s.live, Log: slog.New(slog.DiscardHandler),
		Timeouts: ws.Timeouts{Close: time.Minute}, // on a busy machine, a close frame takes long
		Serve: func(_ context.Context, c *ws.Conn) error {
			_, p, err := c.Read()
			if err != nil {
				return err
			}
			panic(string(p))
		},
	})
	return s
}

var (
	errAnswer = errors.New("another answer")

	// The kinds of an end, as the client does or sees them. A kind returns when the
	// connection is left.
	kinds = []struct {
		name, user string
		status     int
		leave      func(net.Conn, *bufio.Reader) error
	}{
		{"a close in good order", "ann", 101, func(c net.Conn, r *bufio.Reader) error {
			_, _ = c.Write(closing(1000, ""))
			return wantCode(r, 1000)
		}},
		{"a reset", "ann", 101, func(c net.Conn, _ *bufio.Reader) error { return c.(*net.TCPConn).SetLinger(0) }},
		{"half a frame", "ann", 101, func(c net.Conn, _ *bufio.Reader) error {
			_, err := c.Write([]byte{0x81, 0xFE, 1})
			return err
		}},
		{"a refused handshake", "", 401, func(_ net.Conn, r *bufio.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		}},
		{"an expired credential", "ends", 101, func(_ net.Conn, r *bufio.Reader) error { return wantCode(r, 3000) }},
		{"a panic in Serve", "ann", 101, func(c net.Conn, r *bufio.Reader) error {
			_, _ = c.Write(masked(0x81, "hunter2"))
			return wantCode(r, 1011)
		}},
	}
)

// wantCode reads a close frame (RFC 6455 §5.5.1).
func wantCode(r *bufio.Reader, code int) error {
	var frame [4]byte
	if _, err := io.ReadFull(r, frame[:]); err != nil {
		return err
	}
	if got := int(frame[2])<<8 | int(frame[3]); frame[0] != 0x88 || got != code {
		return fmt.Errorf("%w: % x, want a close frame of %d", errAnswer, frame, code)
	}
	return nil
}

// sources are addresses of this machine that clients have, so that none runs out of ports.
var sources = func() (list []string) {
	for i := range 16 {
		list = append(list, fmt.Sprintf("127.0.0.%d", 1+i))
	}
	if runtime.GOOS != "linux" {
		list = list[:1]
	}
	return list
}()

// one is one connection of a kind.
func (s *soak) one(n int) error {
	kind := kinds[n%len(kinds)]
	c, err := s.dial(sources[n/len(kinds)%len(sources)])
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	edits := []string{}
	if kind.user != "" {
		edits = append(edits, "X-User: "+kind.user)
	}
	if _, err := io.WriteString(c, edited(edits...)); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c, 1024)
	res, err := http.ReadResponse(r, nil)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusUnauthorized && kind.user == "ends":
		return nil // it had ended before it was bound
	case res.StatusCode != kind.status:
		return fmt.Errorf("%w: %s, want %d", errAnswer, res.Status, kind.status)
	}
	if err := kind.leave(c, r); err != nil {
		return fmt.Errorf("%s: %w", kind.name, err)
	}
	return nil
}

// round has n connections opened and left, many at once: under -race no more than a busy machine
// serves within the two seconds of a handshake.
func (s *soak) round(t *testing.T, n int) {
	t.Helper()
	most := 256
	if underRace() {
		most = 64
	}
	var next atomic.Int64
	var clients sync.WaitGroup
	for range most {
		clients.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := s.one(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if clients.Wait(); t.Failed() {
		t.FailNow()
	}
}

// resources are those that a process can leak.
type resources struct {
	goroutines, files int
	heap              uint64
}

func (r resources) String() string {
	return fmt.Sprintf("%d goroutines, %d file descriptors, %d bytes of heap", r.goroutines, r.files, r.heap)
}

func used() (r resources) {
	runtime.GC()
	runtime.GC() // sync.Pool keeps its content for one more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd") // none on other systems
	return resources{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// Faults rows 14 and 31: after a hundred thousand connections that end in six ways, nothing
// of them is left: no goroutine, no file descriptor, no place, no memory.
func TestNothingIsLeftOfConnections(t *testing.T) {
	const rounds = 5
	all, places := 10_000, 1000
	switch {
	case underRace():
		all = 3000
	case os.Getenv("SECUREWS_ALL") == "1" && !testing.Short():
		all = 100_000
	}
	base := used()
	s := startSoak(t, places)
	manyGoroutines()
	s.round(t, all/rounds) // fills pools and tables
	base.goroutines++      // the server's
	base.files += 4        // its listener, and those of the poller
	s.wantLeft(t, base)
	t.Logf("before: %v", base)
	var heap []float64
	for i := range rounds {
		s.round(t, all/rounds)
		s.wantLeft(t, base)
		now := used()
		heap = append(heap, float64(now.heap))
		t.Logf("round %d: %v", i, now)
	}
	if slope := slope(heap); slope > 0.01 && !underRace() {
		t.Errorf("the heap grows by %.1f %% a round: %.0f", slope*100, heap)
	}
	s.wantAllPlaces(t)
}

// manyGoroutines runs more at once than a round does: the runtime keeps the memory that it allocates for
// each, for the next.
func manyGoroutines() {
	var all sync.WaitGroup
	release := make(chan struct{})
	for range 10_000 {
		all.Go(func() { <-release })
	}
	close(release)
	all.Wait()
}

// wantLeft polls until no more is left than there was before.
func (s *soak) wantLeft(t *testing.T, before resources) {
	t.Helper()
	var now resources
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		now = used()
		if now.goroutines <= before.goroutines && now.files <= before.files {
			break
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("a minute later: %v; before: %v\n%s", now, before, buf[:runtime.Stack(buf, true)])
		}
	}
	for _, name := range []string{"ann", "ends"} {
		if open := s.live.List("test", name); len(open) != 0 {
			t.Errorf("%d connections of %s are listed, such as %+v", len(open), name, open[0])
		}
	}
}

// wantAllPlaces opens as many connections as there are places, from one address and for one
// principal, which have as many. One more is refused.
func (s *soak) wantAllPlaces(t *testing.T) {
	t.Helper()
	for i := range s.places {
		if _, res := s.open(t, "127.0.0.1", "X-User: ann"); res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("connection %d of %d places is answered %s", i, s.places, res.Status)
		}
	}
	_, res := s.open(t, sources[len(sources)-1], "X-User: bob")
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "overloaded") {
		t.Errorf("one more than there are places is answered %s %s", res.Status, body)
	}
}

// slope is the growth of a round, by least squares, in parts of the mean.
func slope(y []float64) float64 {
	n := float64(len(y))
	var sx, sy, sxy, sxx float64
	for i, v := range y {
		x := float64(i)
		sx, sy, sxy, sxx = sx+x, sy+v, sxy+x*v, sxx+x*x
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx) / (sy / n)
}
