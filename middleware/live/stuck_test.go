package live

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A peer that reads no more than the beginning of a frame: the connection is cut at the grace,
// and not before. TestStuckWriterIsCutInFakeTime has the exact time.
func TestStuckWriterIsCutAtTheGrace(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "TLS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Config{Timeouts: Timeouts{Grace: 300 * time.Millisecond}})
			ended := make(chan error, 1)
			s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				c, err := UpgradeWire(rw, r)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				ended <- c.Send(WireBinary, make([]byte, 24<<20)) // more than a kernel holds
			})), kind)
			c, res, err := DialWire(t.Context(), s.Client().Transport.(*http.Transport).TLSClientConfig,
				s.URL, http.Header{"Session": {"session"}})
			if c == nil {
				t.Fatal(res, err)
			}
			defer c.Close()
			if _, err := io.ReadFull(c.r, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w.signOut("session")
			if err := received(t, "the cut", ended); err == nil {
				t.Error("the frame has been written")
			}
			if took := time.Since(began); took < 300*time.Millisecond {
				t.Errorf("cut after %v, want 300 ms", took)
			}
			w.settled()
		})
	}
}

func TestStuckWriterIsCutInFakeTime(t *testing.T) {
	inBubble(t, Config{Timeouts: Timeouts{Grace: 300 * time.Millisecond}}, func(t *testing.T, w *world) {
		cut := make(chan time.Time, 1)
		client, returned := w.dial(w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			c, err := UpgradeWire(rw, r)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := c.Send(WireBinary, make([]byte, 5000)); err == nil {
				t.Error("the frame has been written")
			}
			cut <- time.Now()
		})), "session")
		defer client.Close()
		if _, err := readHead(client); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.signOut("session")
		if took := (<-cut).Sub(began); took != 300*time.Millisecond {
			t.Errorf("cut after %v, want 300 ms", took)
		}
		<-returned
	})
}

// A peer that reads again within the grace gets the rest of the frame, then the close frame.
func TestStuckWriterCompletesItsFrameWithinTheGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience}})
	h := w.front(hijacking(t, func(conn net.Conn, r *http.Request) {
		defer conn.Close()
		for r.Context().Err() == nil {
			if _, err := conn.Write(buildFrame(0x82, make([]byte, 5000), false)); err != nil {
				return
			}
		}
	}))
	client, returned := w.dial(h, "session")
	defer client.Close()
	if _, err := io.ReadFull(client, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	w.signOut("session")
	time.Sleep(100 * time.Millisecond)
	if _, err := io.ReadFull(client, make([]byte, 4904)); err != nil {
		t.Fatal(err)
	}
	frames, code, reason, err := readEnding(&answering{Conn: client})
	if code != 3000 || reason != "revoked" || frames != 0 || err != nil {
		t.Errorf("%d %s after %d frames, %v", code, reason, frames, err)
	}
	received(t, "the handler's return", returned)
	w.settled()
}

// answering answers a close frame once it has been read.
type answering struct {
	net.Conn
	read int
}

func (c *answering) Read(p []byte) (int, error) {
	if c.read == 11 {
		if _, err := c.Conn.Write(buildFrame(0x88, []byte{0x0b, 0xb8}, true)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}
