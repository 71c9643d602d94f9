package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// ending is how one socket ended, and when.
type ending struct {
	code   websocket.StatusCode
	reason string
	at     time.Time
	err    error
}

func endingOf(err error) ending {
	var e websocket.CloseError
	_ = errors.As(err, &e)
	return ending{e.Code, e.Reason, time.Now(), err}
}

func dial(t *testing.T, p *process, client *http.Client, cookie string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(t.Context(), p.origin+"/ws", &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: http.Header{"Origin": {p.origin}, "Cookie": {cookie}},
		Subprotocols: []string{subprotocol},
	})
	return c, err
}

// openSockets opens n sockets and reads from each until it ends.
func openSockets(t *testing.T, p *process, n int, endings chan<- ending) {
	t.Helper()
	client := insecure()
	cookie := signIn(t, client, p.origin, "alice", p.passwords["alice"])
	var opened sync.WaitGroup
	slots := make(chan struct{}, 32)
	for range n {
		opened.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c, err := dial(t, p, client, cookie)
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			go func() {
				for {
					if _, _, err := c.Read(t.Context()); err != nil {
						endings <- endingOf(err)
						_ = c.CloseNow()
						return
					}
				}
			}()
		})
	}
	opened.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// manySockets is 1,000, or 5,000 if SECUREWS_ALL is set.
func manySockets() int {
	if os.Getenv("SECUREWS_ALL") == "1" {
		return 5000
	}
	return 1000
}

// The server's defaults, and a tolerance for two programs on a few cores.
const (
	spread     = 5 * time.Second // live.Timeouts.Spread
	closeGrace = 2 * time.Second // ws.Timeouts.Close
	drainTime  = 10 * time.Second
	margin     = 4 * time.Second // below the spread
)

// Faults row 27: SIGTERM under load. No new socket is admitted, every client reads 1012
// `restart`, spread over a while, answers under way go out, and the process exits in time
// and in order.
func TestStopClosesEverySocket(t *testing.T) {
	n := manySockets()
	p := startChat(t)
	endings := make(chan ending, n)
	start := make(chan struct{})
	load := openTalkers(t, p, start, endings)
	openSockets(t, p, n-talkers, endings)
	silent := openSilent(t, p).watch()
	late := newcomer{insecure(), signIn(t, insecure(), p.origin, "alice", p.passwords["alice"])}
	close(start)
	begun := time.Now()
	eventually(t, "two seconds' worth of answers", func() bool { return answers(load) >= 2*talkers*int64(time.Second/pace) })
	before := answers(load)
	t.Logf("%d sockets, %.0f messages/s", n, float64(before)/time.Since(begun).Seconds())

	told := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	first := collect(t, endings, 1)
	// A socket has ended, so the shutdown has begun.
	if status := get(t, p.origin+"/ready"); status != http.StatusServiceUnavailable {
		t.Errorf("/ready answers %d while stopping, want 503", status)
	}
	if probes := late.probe(t, p); probes == 0 {
		t.Error("no handshake was answered while stopping")
	}
	checkSpread(t, told, append(first, collect(t, endings, n-1)...))
	checkAnswers(t, load)
	if answers(load) == before {
		t.Error("no text was answered after SIGTERM: there was no load")
	}
	if code := p.waitExit(t, drainTime+margin); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	checkCut(t, told, <-silent)
}

// newcomer could open a socket, if the process did not stop.
type newcomer struct {
	client *http.Client
	cookie string
}

// probe sends handshakes one after the other for a second and checks that each of them is
// refused with 503 `draining` and a Retry-After (RFC 9110 §10.2.3).
func (n newcomer) probe(t *testing.T, p *process) (answered int) {
	t.Helper()
	for end := time.Now().Add(time.Second); time.Now().Before(end); answered++ {
		_, answer, err := websocket.Dial(t.Context(), p.origin+"/ws", &websocket.DialOptions{
			HTTPClient: n.client, HTTPHeader: http.Header{"Origin": {p.origin}, "Cookie": {n.cookie}}, Subprotocols: []string{subprotocol},
		})
		if answer == nil {
			t.Fatalf("a handshake while stopping: %v", err)
		}
		body, _ := io.ReadAll(answer.Body)
		wait, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"reason":"draining"`) || wait < 1 {
			t.Fatalf("a handshake while stopping: %s, Retry-After %q, %s", answer.Status, answer.Header.Get("Retry-After"), body)
		}
	}
	return answered
}

// checkSpread checks that the sockets were closed with 1012 `restart`, evenly over the default
// spread: none before its turn, and none later than the margin after it, so that they were not
// closed in one burst, whether early or late.
func checkSpread(t *testing.T, told time.Time, all []ending) {
	t.Helper()
	slices.SortFunc(all, func(a, b ending) int { return a.at.Compare(b.at) })
	for i, e := range all {
		if e.code != 1012 || e.reason != "restart" {
			t.Fatalf("closed with %d %q (%v), want 1012 restart", e.code, e.reason, e.err)
		}
		turn := spread * time.Duration(i) / time.Duration(len(all))
		if after := e.at.Sub(told); after < turn-spread/10 || after > turn+margin {
			t.Fatalf("%d of %d were closed %v after SIGTERM, want that after %v, with a margin of %v", i+1, len(all), after, turn, margin)
		}
	}
}

// checkCut checks that a peer that did not answer its close frame was cut after the grace
// period, and before the time to stop.
func checkCut(t *testing.T, told time.Time, c cut) {
	t.Helper()
	if !errors.Is(c.err, io.EOF) && !isCut(c.err) {
		t.Errorf("the silent peer: %v", c.err)
	}
	if c.code != 1012 {
		t.Fatalf("the silent peer was sent close code %d, want 1012", c.code)
	}
	if after := c.told.Sub(told); after > spread+margin {
		t.Errorf("the silent peer was told %v after SIGTERM, want within %v and a margin of %v", after, spread, margin)
	}
	if grace := c.gone.Sub(c.told); grace < closeGrace/2 || grace > closeGrace+margin {
		t.Errorf("the silent peer was cut %v after its close frame, want about %v", grace, closeGrace)
	}
	if after := c.gone.Sub(told); after > drainTime+margin {
		t.Errorf("the silent peer was cut %v after SIGTERM, want within %v", after, drainTime)
	}
}

// A second signal ends at once the sockets that the first one spreads over seconds.
func TestSecondSignalHastens(t *testing.T) {
	p := startChat(t, "-drain", "10m")
	openSilent(t, p)
	endings := make(chan ending, 100)
	openSockets(t, p, 100, endings)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	first := collect(t, endings, 1)
	second := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for _, e := range append(first, collect(t, endings, 99)...) {
		if e.code != 1012 {
			t.Errorf("closed with %d %q (%v), want 1012", e.code, e.reason, e.err)
		}
	}
	if code := p.waitExit(t, patience); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	// Without it, a hundred sockets take the five seconds of live.Timeouts.Spread.
	if took := time.Since(second); took > 4*time.Second {
		t.Errorf("%v after the second signal: nothing was hastened", took)
	}
}

func collect(t *testing.T, endings <-chan ending, n int) []ending {
	t.Helper()
	out := make([]ending, 0, n)
	timeout := time.After(patience)
	for len(out) < n {
		select {
		case e := <-endings:
			out = append(out, e)
		case <-timeout:
			t.Fatalf("%d of %d sockets have ended after %v", len(out), n, patience)
		}
	}
	return out
}

func get(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := insecure().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// isCut reports whether TCP ended under TLS, as it does for a peer that is cut.
func isCut(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
