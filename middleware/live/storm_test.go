package live

import (
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// stormer writes whole messages, fragments and control frames, of 1 to 6,748 B, in writes
// that are split anywhere, until a write fails or the context ends.
func stormer(conn net.Conn, r *http.Request) {
	random := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), 1))
	send := func(first byte, size int) error {
		b := buildFrame(first, make([]byte, size), false)
		for len(b) > 0 {
			n := 1 + random.IntN(len(b))
			if _, err := conn.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}
	for r.Context().Err() == nil {
		size := 1 + random.IntN(6748)
		var err error
		switch random.IntN(3) {
		case 0:
			err = send(0x82, size)
		case 1:
			if err = send(0x01, size); err == nil {
				err = send(0x89, random.IntN(126))
			}
			if err == nil {
				err = send(0x80, size/2)
			}
		default:
			err = send(0x8a, random.IntN(126))
		}
		if err != nil {
			return
		}
	}
}

// answerer answers the close frame, as a browser does.
type answerer struct{ net.Conn }

func (c answerer) answerClose() { _, _ = c.Write(buildFrame(0x88, nil, true)) }

// Of 160 connections in the midst of writes, each ends with the close frame at a boundary of
// frames (RFC 6455 §5.4), nothing after it, and no malformed byte before.
func TestStormEndsEveryConnectionAtAFrameBoundary(t *testing.T) {
	t.Parallel()
	const connections = 160
	// on a busy machine, the rest of a frame takes long
	w := newWorld(t, Config{Limits: Limits{PerPrincipal: 200, PerAddress: 200}, Timeouts: Timeouts{Grace: patience}})
	// The store is followed from here on: in the storm, that may take longer than 2 s.
	w.join(ann).Leave(nil)
	read := make(chan string, connections)
	h := w.front(hijacking(t, func(conn net.Conn, r *http.Request) {
		defer conn.Close()
		time.AfterFunc(time.Duration(mathrand.IntN(13_000))*time.Microsecond, func() { w.signOut(r.Header.Get("Session")) })
		go func() {
			f, err := parseFrame(oneByte{conn}, true)
			code, reason, _ := f.closing()
			read <- fmt.Sprintf("%d %s %v", code, reason, err)
		}()
		stormer(conn, r)
	}))
	var clients sync.WaitGroup
	for i := range connections {
		session := fmt.Sprint("session ", i)
		clients.Go(func() {
			client, returned := w.dial(h, session)
			defer client.Close()
			_ = client.SetDeadline(time.Now().Add(patience))
			frames, code, reason, err := readEnding(answerer{client})
			if code != 3000 || reason != "revoked" || err != nil {
				t.Errorf("%s: %d %q after %d frames: %v", session, code, reason, frames, err)
			}
			received(t, "the handler's return", returned)
		})
	}
	clients.Wait()
	for range connections {
		if got := received(t, "the handler's read", read); got != "3000 revoked <nil>" {
			t.Errorf("the handler has read %q", got)
		}
	}
	w.settled()
}

// oneByte reads byte by byte.
type oneByte struct{ net.Conn }

func (c oneByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(1, len(p))]) }
