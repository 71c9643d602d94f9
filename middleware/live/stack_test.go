package live

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/securews/securews/internal/bounded"
	"github.com/securews/securews/middleware"
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

// The goroutine of a bound connection has a stack of the same size as without the layer,
// however much the layers in front need. The runtime doubles a stack, and halves it only if
// less than a quarter is in use: 650 B of the layer, on top of the 3 KiB of net/http for the
// header of a 101, had doubled those of coder.
func TestStackOfABoundConnection(t *testing.T) {
	if racing {
		t.Skip("the race detector takes stack of its own")
	}
	if !strings.Contains(os.Getenv("GODEBUG"), "adaptivestackstart=0") { // the runtime reads it at its start
		//nolint:gosec // this test
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStackOfABoundConnection$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=adaptivestackstart=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	for _, lib := range libraries {
		for _, layers := range []int{0, 2, 3, 5} {
			bare, bound := stackOfConnections(t, lib, layers, false), stackOfConnections(t, lib, layers, true)
			t.Logf("%s, %d layers in front: bare %d B, bound %d B", lib.name, layers, bare, bound)
			if bound > bare+1024 {
				t.Errorf("%s, %d layers in front: bare %d B, bound %d B", lib.name, layers, bare, bound)
			}
		}
	}
}

// stackOfConnections returns the stack of a connection that has echoed a message.
func stackOfConnections(t *testing.T, lib library, layers int, bound bool) int64 {
	t.Helper()
	const connections = 100
	w := newWorld(t, Config{Limits: Limits{Connections: connections, PerPrincipal: connections, PerAddress: connections}})
	h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = lib.echo(false, rw, r) }))
	if bound {
		h = w.Handler(h)
	}
	h = authOver(t, &direct{}).Handler(h)
	for range layers {
		h = deep(h)
	}
	s := serve(t, h, "plain")
	conns := make([]net.Conn, connections)
	before := stacks()
	for i := range conns {
		conns[i] = dialRaw(t, s)
		r := handshake("session")
		r.Host = "example.com"
		_ = r.Write(conns[i])
		if _, err := readHead(conns[i]); err != nil {
			t.Fatal(err)
		}
		_, _ = conns[i].Write(buildFrame(0x82, make([]byte, 16<<10), true))
		if f, err := parseFrame(conns[i], false); err != nil || len(f.payload) != 16<<10 {
			t.Fatal(err)
		}
	}
	taken := stacks() - before
	for _, c := range conns {
		_ = c.Close()
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
