package live

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// endOf serves a WebSocket whose peer answers the close frame at once, by which TCP is closed, and
// calls the handler when that has happened.
func endOf(t *testing.T, handler func(ctx context.Context, conn net.Conn)) {
	t.Helper()
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		h := w.front(hijacking(t, func(conn net.Conn, r *http.Request) {
			time.Sleep(time.Second)
			w.signOut("session")
			time.Sleep(time.Millisecond)
			if w.open.Load() != 0 {
				t.Error("TCP is open")
			}
			handler(r.Context(), conn)
		}))
		client, returned := w.dial(h, "session")
		defer client.Close()
		if _, code, _, err := readEnding(&answering{Conn: client}); code != 3000 || err != nil {
			t.Errorf("the client has read %d, %v", code, err)
		}
		<-returned
	})
}

// A handler that is busy when its connection ends, and when the peer has answered, reads the close
// frame: a message that it writes before is dropped without an error.
func TestHandlerThatWritesLateReadsTheCloseFrame(t *testing.T) {
	endOf(t, func(ctx context.Context, conn net.Conn) {
		message := buildFrame(0x82, make([]byte, 100), false)
		if n, err := conn.Write(message); n != len(message) || err != nil {
			t.Errorf("%d B are written, %v", n, err)
		}
		if f, err := parseFrame(conn, true); f.opcode != 8 || err != nil {
			t.Errorf("read opcode %d, %v", f.opcode, err)
		}
		<-ctx.Done()
		if _, err := conn.Write(message); !errors.Is(err, Revoked) {
			t.Errorf("a write after the end of the context: %v", err)
		}
	})
}

// One that never reads is told by its writes when the grace is over.
func TestHandlerThatOnlyWritesEndsWithTheGrace(t *testing.T) {
	endOf(t, func(_ context.Context, conn net.Conn) {
		began, message := time.Now(), buildFrame(0x82, make([]byte, 100), false)
		for {
			if _, err := conn.Write(message); err != nil {
				if took := time.Since(began); !errors.Is(err, Revoked) || took < 990*time.Millisecond || took > time.Second {
					t.Errorf("%v after %v, want the cause after 1 s less a moment", err, took)
				}
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// The context does not end while a handler, such as a proxy, is at work on the close frame that it
// has read: it ends when the handler reads again, and in any case after 250 ms.
func TestContextOutlastsTheWorkOnTheCloseFrame(t *testing.T) {
	for _, test := range []struct {
		name  string
		reads bool
		ends  time.Duration // the context, since the close frame was read
	}{
		{"it reads again after 100 ms", true, 150 * time.Millisecond},
		{"it does not read again", false, 250 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			endOf(t, func(ctx context.Context, conn net.Conn) {
				if f, err := parseFrame(conn, true); f.opcode != 8 || err != nil {
					t.Errorf("read opcode %d, %v", f.opcode, err)
				}
				read := time.Now()
				time.Sleep(100 * time.Millisecond)
				if err := ctx.Err(); err != nil {
					t.Errorf("the context has ended: %v", err)
				}
				if test.reads {
					if n, err := io.Copy(io.Discard, conn); n != 0 || !errors.Is(err, Revoked) {
						t.Errorf("read %d B, %v", n, err)
					}
				}
				<-ctx.Done()
				if took := time.Since(read); took != test.ends {
					t.Errorf("the context ended after %v, want %v", took, test.ends)
				}
			})
		})
	}
}
