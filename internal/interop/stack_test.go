package interop

import (
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
)

// direct is an authenticator that is called on the handler's goroutine and needs little of
// its stack.
type direct struct{ bounded.Self }

func (*direct) Ambient() bool { return false }

func (*direct) Authenticate(*http.Request) (middleware.Principal, error) { return ann, nil }

// deep is a layer in front that needs some 200 B of stack.
func deep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var b [128]byte
		next.ServeHTTP(rw, r)
		runtime.KeepAlive(&b)
	})
}

// The goroutine of a bound connection of gorilla has a stack of the same size as without the
// layer, however much the layers in front need. Package live tests the same with
// coder/websocket.
func TestStackOfABoundConnectionOfGorilla(t *testing.T) {
	if racing {
		t.Skip("the race detector takes stack of its own")
	}
	if !strings.Contains(os.Getenv("GODEBUG"), "adaptivestackstart=0") { // the runtime reads it at its start
		//nolint:gosec // this test
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStackOfABoundConnectionOfGorilla$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=adaptivestackstart=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	for _, layers := range []int{0, 2, 3, 5} {
		bare, bound := stackOfConnections(t, layers, false), stackOfConnections(t, layers, true)
		t.Logf("%d layers in front: bare %d B, bound %d B", layers, bare, bound)
		if bound > bare+1024 {
			t.Errorf("%d layers in front: bare %d B, bound %d B", layers, bare, bound)
		}
	}
}

// stackOfConnections returns the stack of a connection that has echoed a message.
func stackOfConnections(t *testing.T, layers int, bound bool) int64 {
	t.Helper()
	const connections = 100
	w := newWorld(t, live.Config{Limits: live.Limits{Connections: connections, PerPrincipal: connections, PerAddress: connections}})
	h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = echoGorilla(false, rw, r) }))
	if bound {
		h = w.Handler(h)
	}
	h = auth(t, &direct{}).Handler(h)
	for range layers {
		h = deep(h)
	}
	s := serve(t, h, "plain")
	peers := make([]*peer, connections)
	before := stacks()
	for i := range peers {
		peers[i] = dial(t, s, nil)
		_, err := peers[i].Write(masked(0x82, make([]byte, 16<<10)))
		must(t, err)
		frame := make([]byte, 4+16<<10)
		if _, err := io.ReadFull(peers[i].r, frame); err != nil || frame[0] != 0x82 || binary.BigEndian.Uint16(frame[2:]) != 16<<10 {
			t.Fatalf("% x, %v", frame[:4], err)
		}
	}
	taken := stacks() - before
	for _, p := range peers {
		_ = p.Close()
	}
	w.settled()
	return taken / connections
}

func stacks() int64 {
	for range 3 { // one halves a stack once
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse) //nolint:gosec // less than that
}
