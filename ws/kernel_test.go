package ws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// kernelNode serves over the kernel's sockets of 127.0.0.1, with or without TLS.
type kernelNode struct {
	*httptest.Server
	secured bool
}

func serveKernel(t *testing.T, secured bool, cfg ws.Config) kernelNode {
	t.Helper()
	cfg.DangerouslyAllowPlaintext = !secured
	n := kernelNode{httptest.NewUnstartedServer(handler(t, cfg)), secured}
	n.Config.ErrorLog = quiet(nil).ErrorLog
	if secured {
		n.StartTLS()
	} else {
		n.Start()
	}
	t.Cleanup(n.Close)
	return n
}

// dial opens a connection from the given address.
func (n kernelNode) dial(from string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", n.Listener.Addr().String())
	if err != nil || !n.secured {
		return c, err
	}
	return tls.Client(c, &tls.Config{InsecureSkipVerify: true}), nil
}

// open has a handshake answered. The connection stays open until the test ends.
func (n kernelNode) open(t *testing.T, from string, edits ...string) (net.Conn, *http.Response) {
	t.Helper()
	c, err := n.dial(from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, edited(edits...)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil) // takes little beyond the answer
	if err != nil {
		t.Fatal(err)
	}
	return c, res
}

// wantWithin polls until ok.
func wantWithin(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

// unsent is how many bytes the kernel holds for the peers of a port of 127.0.0.1, and
// for how many of them: tx_queue of /proc/net/tcp.
func unsent(t *testing.T, port int) (bytes, peers int) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	local := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[1] != local || f[3] == "0A" { // 0A: it listens
			continue
		}
		tx, _, _ := strings.Cut(f[4], ":")
		n, err := strconv.ParseInt(tx, 16, 64)
		if err != nil {
			t.Fatalf("/proc/net/tcp: %q", line)
		}
		if n > 0 {
			bytes += int(n)
			peers++
		}
	}
	return bytes, peers
}

// Faults row 41, finding L14: peers that never read are cut as 1013 `slow`, and 10 s later
// the kernel holds none of the bytes that were meant for them.
func TestKernelHoldsNothingForSlowPeers(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skipf("%s has no /proc/net/tcp, where the kernel says what it holds", runtime.GOOS)
	}
	for name, say := range map[string]func(*ws.Conn, []byte) error{
		"Write makes no progress": func(c *ws.Conn, p []byte) error { return c.Write(websocket.MessageBinary, p) },
		"the queue overflows":     func(c *ws.Conn, p []byte) error { return c.Send(websocket.MessageBinary, p) },
	} {
		for _, secured := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", TLS"}[secured], func(t *testing.T) {
				t.Parallel()
				slowPeers(t, secured, say)
			})
		}
	}
}

func slowPeers(t *testing.T, secured bool, say func(*ws.Conn, []byte) error) {
	const peers = 50
	ends := make(chan live.Event, peers)
	overflow := make(chan struct{}) // closed when the kernel has its share
	g := registry(t, live.Config{Limits: live.Limits{Connections: peers}, Events: func(e live.Event) {
		if e.Kind == live.Ended {
			ends <- e
		}
	}})
	n := serveKernel(t, secured, ws.Config{
		Live: g, Timeouts: ws.Timeouts{Write: 2 * time.Second},
		Serve: func(ctx context.Context, c *ws.Conn) error {
			for i := 0; ; i++ {
				if i == 12 { // of the 16 that QueueBytes holds
					select {
					case <-overflow:
					case <-ctx.Done():
					}
				}
				if err := say(c, make([]byte, 64<<10)); err != nil {
					return err
				}
			}
		},
	})
	_, text, _ := net.SplitHostPort(n.Listener.Addr().String())
	port, _ := strconv.Atoi(text)
	for range peers {
		if _, res := n.open(t, "127.0.0.1"); res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res.Status)
		}
	}
	most := 0
	wantWithin(t, time.Minute, "the kernel holds bytes for each peer", func() bool {
		bytes, waiting := unsent(t, port)
		most = max(most, bytes)
		return waiting == peers || len(ends) > 0
	})
	close(overflow)
	for range peers {
		select {
		case e := <-ends:
			if e.Cause.Code != 1013 || e.Cause.Reason != "slow" {
				t.Errorf("ended with %v, want 1013 slow", e.Cause)
			}
		case <-time.After(time.Minute):
			t.Fatal("a peer that does not read is not cut")
		}
	}
	t.Logf("the kernel held %d bytes for %d peers", most, peers)
	if most == 0 {
		t.Error("the kernel held nothing: the test proves nothing")
	}
	wantWithin(t, time.Minute, "the kernel holds nothing", func() bool { bytes, _ := unsent(t, port); return bytes == 0 })
}

// Faults row 14, finding L6: one client address takes its share of the places and no more,
// and another one still has its own.
func TestOneAddressCannotTakeMoreThanItsShare(t *testing.T) {
	const share = 10
	n := serveKernel(t, true, ws.Config{Live: registry(t, live.Config{Limits: live.Limits{Connections: 1000, PerAddress: share}})})
	other, err := n.dial("127.0.0.2")
	var notHere *net.OpError
	if errors.As(err, &notHere) {
		t.Skipf("%s does not let a client be 127.0.0.2: %v", runtime.GOOS, err)
	}
	_ = other.Close()
	admitted := 0
	for range 100 {
		_, res := n.open(t, "127.0.0.1")
		if res.StatusCode == http.StatusSwitchingProtocols {
			admitted++
			continue
		}
		body, _ := io.ReadAll(res.Body)
		wantRefusal(t, res, string(body), 429, "too_many_connections")
		if wait, _ := strconv.Atoi(res.Header.Get("Retry-After")); wait < 1 { // RFC 6585 §4
			t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
		}
	}
	if admitted != share {
		t.Errorf("%d of 100 connections of one address are admitted, want %d", admitted, share)
	}
	for i := range share {
		if _, res := n.open(t, "127.0.0.2"); res.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("connection %d of another address is answered %s", i, res.Status)
		}
	}
}
