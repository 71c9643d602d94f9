package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// huge is a message that no kernel keeps for a client with a small window.
var huge = bytes.Repeat([]byte("a"), 24<<20)

// stuck are handlers that write one huge message, and return the error.
var stuck = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"coder": func(w http.ResponseWriter, r *http.Request) error {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return err
		}
		defer c.CloseNow()
		return c.Write(r.Context(), coder.MessageText, huge)
	},
	"gorilla": func(w http.ResponseWriter, r *http.Request) error {
		c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.WriteMessage(websocket.TextMessage, huge)
	},
	"gobwas": func(w http.ResponseWriter, r *http.Request) error {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return err
		}
		defer conn.Close()
		return ws.WriteFrame(conn, ws.NewTextFrame(huge))
	},
}

// A writer is stuck in a frame, whose end must come before the close frame (RFC 6455 §5.4).
func TestStuckWriters(t *testing.T) {
	t.Parallel()
	for name, write := range stuck {
		for _, kind := range []string{"plain", "TLS"} {
			for _, test := range []struct {
				name  string
				grace time.Duration
				read  func(p *peer, t *testing.T, cut <-chan error)
			}{
				{"the peer never reads: it is cut at the grace", 500 * time.Millisecond, (*peer).neverReads},
				{"the peer reads within the grace: the frame is completed, then 3000", time.Minute, (*peer).readsAgain},
				{"the peer is slower than the grace: it is cut within the frame", 500 * time.Millisecond, (*peer).readsSlowly},
			} {
				t.Run(name+"/"+kind+"/"+test.name, func(t *testing.T) {
					t.Parallel()
					written := make(chan error, 1)
					w := newWorld(t, kind, session.Config{}, live.Config{Timeouts: live.Timeouts{Grace: test.grace}}, func(s *site) {
						s.bind("GET /", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { written <- write(rw, r) }))
					})
					cookie := w.login("ann")
					p := w.dial(t, w.opening("/", cookie), 128<<10)
					if _, err := p.buffered.Peek(10); err != nil { // the frame has begun
						t.Fatal(err)
					}
					began := time.Now()
					w.logout(cookie)
					cut := make(chan error, 1)
					go func() {
						err := <-written
						if took := time.Since(began); err != nil && took < test.grace {
							t.Errorf("cut after %v, before the grace of %v", took, test.grace)
						}
						cut <- err
					}()
					test.read(p, t, cut)
					w.settled("ann")
				})
			}
		}
	}
}

func (p *peer) neverReads(t *testing.T, cut <-chan error) {
	if err := received(t, "the cut", cut); err == nil {
		t.Error("the message is written")
	}
	p.readsCut(t)
}

func (p *peer) readsAgain(t *testing.T, cut <-chan error) {
	if f, err := p.read(); f.first != 0x81 || !bytes.Equal(f.payload, huge) || err != nil {
		t.Errorf("frame %#x of %d B, %v", f.first, len(f.payload), err)
	}
	if f, err := p.read(); !f.isClose(3000, "revoked") || err != nil {
		t.Errorf("then frame %#x of %d B, %v", f.first, len(f.payload), err)
	}
	if rest := p.answerClose(); len(rest) > 0 {
		t.Errorf("after the close frame: %q", rest)
	}
	if err := received(t, "the handler's write", cut); err != nil {
		t.Error(err)
	}
}

func (p *peer) readsSlowly(t *testing.T, cut <-chan error) {
	var slowly []byte
	for {
		select {
		case err := <-cut:
			if err == nil {
				t.Error("the message is written")
			}
			p.readsCut(t, slowly...)
			return
		case <-time.After(10 * time.Millisecond):
			b := make([]byte, 16<<10)
			n, _ := p.buffered.Read(b)
			slowly = append(slowly, b[:n]...)
		}
	}
}

// readsCut wants that the bytes end within the frame.
func (p *peer) readsCut(t *testing.T, before ...byte) {
	rest, err := io.ReadAll(p.buffered)
	frame := append(before, rest...)
	const header = "\x81\x7f\x00\x00\x00\x00\x01\x80\x00\x00" // text of 24 MiB
	payload, ok := bytes.CutPrefix(frame, []byte(header))
	if !ok || len(payload) >= len(huge) || len(bytes.Trim(payload, "a")) > 0 {
		t.Errorf("%d B, which begin with %q", len(frame), frame[:min(20, len(frame))])
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		t.Error("it is not cut")
	}
}
