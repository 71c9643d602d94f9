package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// openSockets opens n sockets and reads from each until it ends.
func openSockets(t *testing.T, p *process, n int) <-chan ending {
	t.Helper()
	client := insecure()
	cookie := signIn(t, client, p.origin, "alice", p.passwords["alice"])
	endings := make(chan ending, n)
	var opened sync.WaitGroup
	slots := make(chan struct{}, 32)
	for range n {
		opened.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c, _, err := websocket.Dial(t.Context(), p.origin+"/ws", &websocket.DialOptions{
				HTTPClient: client, HTTPHeader: http.Header{"Origin": {p.origin}, "Cookie": {cookie}},
				Subprotocols: []string{subprotocol},
			})
			if err != nil {
				t.Errorf("dial: %v", err)
				endings <- ending{err: err}
				return
			}
			go func() {
				for {
					if _, _, err := c.Read(t.Context()); err != nil {
						var e websocket.CloseError
						_ = errors.As(err, &e)
						endings <- ending{e.Code, e.Reason, time.Now(), err}
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
	return endings
}

// openSilent upgrades and never answers anything, a close frame neither.
func openSilent(t *testing.T, p *process) *tls.Conn {
	t.Helper()
	cookie := signIn(t, insecure(), p.origin, "bob", p.passwords["bob"])
	c, err := tls.Dial("tcp", p.host(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", p.host(), p.origin, cookie)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("silent peer: %v, %v", answer, err)
	}
	return c
}

// faults.md row 27 in small: SIGTERM with a thousand sockets.
func TestStopClosesEverySocket(t *testing.T) {
	const n = 1000
	p := startChat(t)
	silent := openSilent(t, p)
	defer func() { _ = silent.Close() }()
	endings := openSockets(t, p, n)

	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	first := collect(t, endings, 1)
	// Somebody was told to go, so the drain has begun: nobody else is let in.
	if status := get(t, p.origin+"/ready"); status != http.StatusServiceUnavailable {
		t.Errorf("/ready answers %d while stopping, want 503", status)
	}
	_, answer, err := websocket.Dial(t.Context(), p.origin+"/ws", &websocket.DialOptions{
		HTTPClient: insecure(), HTTPHeader: http.Header{"Origin": {p.origin}},
	})
	if err == nil || answer == nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a handshake while stopping: %v, %v; want 503", answer, err)
	}
	all := append(first, collect(t, endings, n-1)...)
	checkSpread(t, all)
	if code := p.waitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, err := io.Copy(io.Discard, silent); err != nil && !isCut(err) {
		t.Errorf("the silent peer: %v", err)
	}
}

// checkSpread wants every socket to have been closed with 1012 `restart`, within the
// ten seconds of -drain, and not most of them in one burst.
func checkSpread(t *testing.T, all []ending) {
	t.Helper()
	perHalfSecond := map[time.Duration]int{}
	start := all[0].at
	for _, e := range all {
		if e.code != 1012 || e.reason != "restart" {
			t.Fatalf("closed with %d %q (%v), want 1012 restart", e.code, e.reason, e.err)
		}
		after := e.at.Sub(start)
		if after > 10*time.Second {
			t.Errorf("closed %v after the first, want within the 10 s of -drain", after)
		}
		perHalfSecond[after.Truncate(500*time.Millisecond)]++
	}
	for at, k := range perHalfSecond {
		if k > len(all)/2 {
			t.Errorf("%d of %d were closed in one half second, at %v", k, len(all), at)
		}
	}
}

// A second signal hastens what the first one spreads over seconds.
func TestSecondSignalHastens(t *testing.T) {
	p := startChat(t, "-drain", "10m")
	silent := openSilent(t, p)
	defer func() { _ = silent.Close() }()
	endings := openSockets(t, p, 100)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	first := collect(t, endings, 1)
	second := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	for _, e := range append(first, collect(t, endings, 99)...) {
		if e.code != 1012 {
			t.Errorf("closed with %d %q (%v), want 1012", e.code, e.reason, e.err)
		}
	}
	if code := p.waitExit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	// Left alone, a hundred sockets take the five seconds of Timeouts.DrainSpread.
	if took := time.Since(second); took > 4*time.Second {
		t.Errorf("%v after the second signal: nothing was hastened", took)
	}
}

func collect(t *testing.T, endings <-chan ending, n int) []ending {
	t.Helper()
	out := make([]ending, 0, n)
	timeout := time.After(30 * time.Second)
	for len(out) < n {
		select {
		case e := <-endings:
			out = append(out, e)
		case <-timeout:
			t.Fatalf("%d of %d sockets have ended after 30 s", len(out), n)
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
