package ws_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// TestIdleClients is not a test: it is the other process of the one below, so that the
// clients' memory is not counted.
func TestIdleClients(t *testing.T) {
	args := strings.Fields(os.Getenv(idleClients))
	if len(args) == 0 {
		t.Skip("the other process of TestIdleConnectionIsSmall")
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		t.Fatal(err)
	}
	var conns []*raw
	for i := range count {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			t.Fatal(err)
		}
		if args[1] == "tls" {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}) //nolint:gosec // loopback
		}
		c := upgraded(t, conn, fmt.Sprintf("X-User: user-%08d", i))
		c.send(masked(0x82, "hello"))
		if _, p, err := c.next(); err != nil || p != "hello" {
			t.Fatal(p, err)
		}
		defer conn.Close()
		conns = append(conns, c)
	}
	for _, c := range conns {
		if op, _, err := c.next(); err != nil || op != 0x9 {
			t.Fatal(op, err)
		}
		c.send(masked(0x8a, ""))
	}
	for _, c := range conns { // a ping of ours is answered when the pong before it has been read
		c.send(masked(0x89, "done"))
		for op := byte(0); op != 0xA; {
			var err error
			if op, _, err = c.next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Println("answered")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the other process has measured
}

type memory struct{ heap, inUse, stack uint64 }

func measure() memory {
	for range 3 { // pools keep their content for one collection more
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{m.HeapAlloc, m.HeapInuse, m.StackInuse}
}

// Idle connection: at most 8,500 bytes of heap and stack in plain, and 16,000 with TLS 1.3,
// for a guarded connection that has echoed a message and answered a heartbeat. The
// stacks of the threads, which the process allocates once, are there before.
func TestIdleConnectionIsSmall(t *testing.T) {
	skipUnderRace(t)
	if testing.Short() {
		t.Skip("opens 4,500 connections")
	}
	idle(t, "plain", 500)
	for _, tt := range []struct {
		way  string
		most uint64
	}{{"plain", 8500}, {"tls", 16_000}} {
		t.Run(tt.way, func(t *testing.T) {
			const count = 2000
			took := idle(t, tt.way, count)
			each := (took.heap + took.stack) / count
			t.Logf("%d bytes a connection: heap %d, stack %d (heap spans %d)", each, took.heap/count, took.stack/count, took.inUse/count)
			if each > tt.most {
				t.Errorf("%d bytes a connection, want at most %d", each, tt.most)
			}
		})
	}
}

// idle returns what so many idle connections take.
func idle(t *testing.T, way string, count int) memory {
	t.Helper()
	g := registry(t, live.Config{Limits: live.Limits{PerAddress: count}})
	cfg := ws.Config{Live: g, Timeouts: ws.Timeouts{Heartbeat: 4 * time.Second, Pong: time.Minute}}
	srv := httptest.NewUnstartedServer(guarded(t, slog.DiscardHandler, cfg))
	if way == "tls" {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	before := measure()
	clients := startClients(t, "TestIdleClients", fmt.Sprintf("%s=%s %s %d", idleClients, srv.Listener.Addr(), way, count))
	for lines := bufio.NewScanner(clients.out); lines.Scan() && lines.Text() != "answered"; {
		if strings.Contains(lines.Text(), "FAIL") {
			t.Fatal(lines.Text())
		}
	}
	after := measure()
	if err := clients.end(); err != nil {
		t.Fatal(err)
	}
	shutdown(t.Context(), t, g)
	return memory{after.heap - before.heap, after.inUse - before.inUse, after.stack - before.stack}
}

// clients is another process of this binary, which runs one test: its memory is not that of the server.
type clients struct {
	cmd *exec.Cmd
	in  io.Closer
	out io.Reader
}

// startClients runs that test with a further variable of the environment.
func startClients(t testing.TB, test, variable string) clients {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return clients{cmd, in, out}
}

// end tells the clients to leave, and returns how their process ended.
func (c clients) end() error {
	_ = c.in.Close()
	_, _ = io.Copy(io.Discard, c.out)
	return c.cmd.Wait()
}
