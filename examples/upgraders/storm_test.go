package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// text is the payload of every message: no byte of it is the first of a frame.
var text = bytes.Repeat([]byte("a"), 6748)

func anySize() []byte { return text[:1+mathrand.IntN(len(text))] }

// accepted is a socket that a library has accepted: read returns the error that ends it,
// write writes one message.
type accepted struct {
	read  func() error
	write func() error
}

// storms accept a socket each, of a library that writes in the ways it has.
var storms = []struct {
	name   string
	accept func(w http.ResponseWriter, r *http.Request) (accepted, error)
}{
	{"coder, fragments", func(w http.ResponseWriter, r *http.Request) (accepted, error) {
		c, err := coder.Accept(w, r, nil)
		return accepted{
			func() error { _, _, err := c.Read(r.Context()); return err },
			func() error {
				m, err := c.Writer(r.Context(), coder.MessageText)
				return writeParts(m, err)
			},
		}, err
	}},
	{"nhooyr, fragments and whole", stormOfNhooyr},
	{"gorilla, prepared, control, whole and fragments", func(w http.ResponseWriter, r *http.Request) (accepted, error) {
		up := websocket.Upgrader{WriteBufferSize: 500}
		c, err := up.Upgrade(w, r, nil)
		return accepted{
			func() error { _, _, err := c.ReadMessage(); return err },
			func() error { return writeGorilla(c, mathrand.IntN(4)) },
		}, err
	}},
	{"gobwas, a Writer of 1,000 B", func(w http.ResponseWriter, r *http.Request) (accepted, error) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		var writing sync.Mutex // the library has none
		return accepted{
			func() error { _, _, err := wsutil.ReadClientData(lockedWriter{conn, &writing}); return err },
			func() error {
				writing.Lock()
				defer writing.Unlock()
				m := wsutil.NewWriterSize(conn, ws.StateServerSide, ws.OpText, 1000)
				if _, err := m.Write(anySize()); err != nil {
					return err
				}
				return m.Flush()
			},
		}, err
	}},
	{"gws, whole and control", func(w http.ResponseWriter, r *http.Request) (accepted, error) {
		ended := make(chan error, 1)
		c, err := gws.NewUpgrader(&gwsEvents{ended: func(err error) { ended <- err }}, nil).Upgrade(w, r)
		return accepted{
			func() error { c.ReadLoop(); return <-ended },
			func() error {
				if mathrand.IntN(3) == 0 {
					return c.WritePing(anySize()[:1])
				}
				return c.WriteMessage(gws.OpcodeText, anySize())
			},
		}, err
	}},
}

// lockedWriter has the answers to control frames wait for the message under way.
type lockedWriter struct {
	io.ReadWriter
	mu *sync.Mutex
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ReadWriter.Write(p)
}

// writeParts writes a message in parts, each of which may become a frame.
func writeParts(m io.WriteCloser, err error) error {
	for rest := anySize(); err == nil && len(rest) > 0; {
		n := 1 + mathrand.IntN(len(rest))
		_, err = m.Write(rest[:n])
		rest = rest[n:]
	}
	if err != nil {
		return err
	}
	return m.Close()
}

func writeGorilla(c *websocket.Conn, how int) error {
	switch how {
	case 0:
		m, err := websocket.NewPreparedMessage(websocket.TextMessage, anySize())
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(m)
	case 1:
		return c.WriteControl(websocket.PingMessage, anySize()[:1], time.Now().Add(time.Minute))
	case 2:
		return c.WriteMessage(websocket.TextMessage, anySize())
	}
	m, err := c.NextWriter(websocket.TextMessage) // a frame for each 500 B
	return writeParts(m, err)
}

// Of 160 connections in the midst of writes, each ends with the close frame at a boundary of
// frames (RFC 6455 §5.4): no malformed byte before, and nothing after it.
func TestStormOfLibraries(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "TLS"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const connections = 160
			begin, ends := make(chan struct{}), make(chan error, connections)
			// on a busy machine, the rest of a frame takes long
			w := newWorld(t, kind, session.Config{}, live.Config{Timeouts: live.Timeouts{Grace: time.Minute}}, func(s *site) {
				for i, storm := range storms {
					s.bind(fmt.Sprint("GET /", i), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						a, err := storm.accept(rw, r)
						if err != nil {
							t.Error(storm.name, err)
							return
						}
						<-begin
						a.storm()
						<-r.Context().Done()
						ends <- context.Cause(r.Context())
					}))
				}
			})
			var clients sync.WaitGroup
			var frames atomic.Int64
			users := map[string]*peer{}
			for i := range connections {
				user := fmt.Sprint("user-", i)
				path := fmt.Sprint("/", i%len(storms))
				users[user] = w.dial(t, w.opening(path, w.login(user)), 32<<10)
			}
			for user, client := range users {
				clients.Go(func() { frames.Add(client.weather(t, user)) })
				time.AfterFunc(time.Millisecond+mathrand.N(12*time.Millisecond), func() {
					if err := w.sessions.LogoutEverywhere(context.Background(), user); err != nil {
						t.Error(err)
					}
				})
			}
			close(begin)
			clients.Wait()
			for range connections {
				if cause := received(t, "the handler's end", ends); !errors.Is(cause, live.Revoked) {
					t.Errorf("a context has ended with %v", cause)
				}
			}
			for user := range users {
				w.settled(user)
			}
			t.Log(frames.Load(), "frames before the close frames")
			if frames.Load() < connections {
				t.Error("not enough frames for a storm")
			}
		})
	}
}

// storm writes until a write fails, and returns when a read has, too.
func (a accepted) storm() {
	read := make(chan error)
	go func() { read <- a.read() }()
	for a.write() == nil {
	}
	<-read
}

// weather reads all frames, and returns their number.
func (p *peer) weather(t *testing.T, user string) (frames int64) {
	for ; ; frames++ {
		f, err := p.read()
		switch {
		case err != nil:
			t.Errorf("%s: after %d frames: %v", user, frames, err)
			return frames
		case f.isClose(3000, "revoked"):
			if rest := p.answerClose(); len(rest) > 0 {
				t.Errorf("%s: after the close frame: %q", user, rest)
			}
			return frames
		case !bytes.Equal(f.payload, text[:min(len(f.payload), len(text))]):
			t.Errorf("%s: frame %#x is %.20q", user, f.first, f.payload)
			return frames
		}
	}
}
