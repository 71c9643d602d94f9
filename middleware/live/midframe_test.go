package live

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// A handler that ends when it is told of the end leaves no frame incomplete: it is told when
// the frame under way is complete, or else after a quarter of the grace.
func TestFrameUnderWayIsCompletedBeforeTheHandlerIsTold(t *testing.T) {
	whole := buildFrame(0x82, make([]byte, 5000), false)
	half, rest := whole[:2500], whole[2500:]
	for _, test := range []struct {
		name    string
		write   func(conn net.Conn, r *http.Request, told *atomic.Bool, read <-chan struct{})
		reads   time.Duration // from the end until the client reads the rest
		message []byte        // that the client sends meanwhile
		frames  int
		took    time.Duration // from the end until the close frame
	}{
		{
			name: "its reader stops its writer", reads: 100 * time.Millisecond, frames: 1, took: 100 * time.Millisecond,
			write: func(conn net.Conn, _ *http.Request, told *atomic.Bool, _ <-chan struct{}) {
				if _, err := conn.Write(half); err == nil && !told.Load() {
					_, _ = conn.Write(rest)
				}
			},
		},
		{
			name:  "its reader stops its writer, and the peer sends a message",
			reads: 100 * time.Millisecond, frames: 1, took: 100 * time.Millisecond,
			message: buildFrame(0x82, make([]byte, 10), true),
			write: func(conn net.Conn, _ *http.Request, told *atomic.Bool, _ <-chan struct{}) {
				if _, err := conn.Write(half); err == nil && !told.Load() {
					_, _ = conn.Write(rest)
				}
			},
		},
		{
			name: "its context stops its writer", reads: 900 * time.Millisecond, frames: 1, took: 900 * time.Millisecond,
			write: func(conn net.Conn, r *http.Request, _ *atomic.Bool, _ <-chan struct{}) {
				if _, err := conn.Write(half); err == nil && r.Context().Err() == nil {
					_, _ = conn.Write(rest)
				}
			},
		},
		{
			name: "it writes the rest when it has read the end", frames: 1, took: 250 * time.Millisecond,
			write: func(conn net.Conn, _ *http.Request, _ *atomic.Bool, read <-chan struct{}) {
				_, _ = conn.Write(half)
				<-read
				_, _ = conn.Write(rest)
			},
		},
		{
			name: "it never writes the rest", took: time.Second,
			write: func(conn net.Conn, r *http.Request, _ *atomic.Bool, _ <-chan struct{}) {
				_, _ = conn.Write(half)
				<-r.Context().Done()
				if cause := context.Cause(r.Context()); !errors.Is(cause, Revoked) {
					panic(cause)
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				h := w.front(hijacking(t, func(conn net.Conn, r *http.Request) {
					var told atomic.Bool
					read := make(chan struct{})
					go func() {
						if n, err := conn.Read(make([]byte, 100)); n != len(closeFrame(Revoked, true)) || err != nil {
							t.Errorf("the handler has read %d B, %v", n, err)
						}
						told.Store(true)
						close(read)
					}()
					test.write(conn, r, &told, read)
				}))
				client, returned := w.dial(h, "session")
				defer client.Close()
				if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				w.signOut("session")
				ended := time.Now()
				if len(test.message) > 0 {
					if _, err := client.Write(test.message); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(test.reads)
				b := make([]byte, len(whole)-1+11)
				n, _ := io.ReadFull(client, b)
				if took := time.Since(ended); took != test.took {
					t.Errorf("%d B until %v after the end, want %v", n, took, test.took)
				}
				if complete := n == len(b) && string(b[n-7:]) == "revoked"; complete != (test.frames == 1) {
					t.Errorf("%d B, which end with %q", n, b[max(0, n-11):n])
				}
				if test.frames == 1 {
					_, _ = client.Write(buildFrame(0x88, []byte{3, 232}, true))
				}
				<-returned
			})
		})
	}
}
