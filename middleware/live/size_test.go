package live

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
	"unsafe"
)

// A bound connection takes at most 1 KiB beside that of net/http: the response, the
// connection and the binding, without what contexts take.
func TestBoundConnectionIsSmall(t *testing.T) {
	t.Parallel()
	r, c, b := unsafe.Sizeof(response{}), unsafe.Sizeof(conn{}), unsafe.Sizeof(Binding{})
	if r+c+b > 1024 {
		t.Errorf("response %d B, connection %d B, binding %d B", r, c, b)
	}
	t.Logf("response %d B, connection %d B, binding %d B", r, c, b)
}

// A shutdown that is out of time does not wait for a long grace.
func TestHurriedShutdownCutsWithinItsTime(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Grace: time.Minute, Spread: time.Millisecond}}, func(t *testing.T, w *world) {
		hijacked := make(chan struct{})
		h := w.front(hijacking(t, func(conn net.Conn, _ *http.Request) {
			close(hijacked)
			_, _ = conn.Write(buildFrame(0x81, []byte("stuck"), false)) // the client does not read
		}))
		client, returned := w.dial(h, "session")
		defer client.Close()
		<-hijacked
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := w.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-returned
		if took := time.Since(began); took > 3500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}
