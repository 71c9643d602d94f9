package live

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A connection with another head than the 101 of a WebSocket is cut at the end: neither side reads
// a close frame.
func TestConnectionOfAnotherProtocolIsCut(t *testing.T) {
	status := func(status int) func(http.ResponseWriter, *bufio.Writer) {
		return func(rw http.ResponseWriter, _ *bufio.Writer) { rw.WriteHeader(status) }
	}
	byHand := func(head string) func(http.ResponseWriter, *bufio.Writer) {
		return func(_ http.ResponseWriter, w *bufio.Writer) { _, _ = w.WriteString(head + "\r\n\r\n"); _ = w.Flush() }
	}
	for _, test := range []struct {
		name   string
		before func(http.ResponseWriter, *bufio.Writer) // Hijack
		after  func(http.ResponseWriter, *bufio.Writer)
	}{
		{name: "200 by WriteHeader", before: status(http.StatusOK)},
		{name: "204 by WriteHeader", before: status(http.StatusNoContent)},
		{name: "200 by Write", before: func(rw http.ResponseWriter, _ *bufio.Writer) { _, _ = rw.Write(nil) }},
		{name: "200 by Flush", before: func(rw http.ResponseWriter, _ *bufio.Writer) { rw.(http.Flusher).Flush() }},
		{name: "200 by hand", after: byHand("HTTP/1.1 200 OK")},
		{name: "101 to another protocol, by WriteHeader", before: func(rw http.ResponseWriter, _ *bufio.Writer) {
			rw.Header().Set("Upgrade", "h2c")
			rw.WriteHeader(http.StatusSwitchingProtocols)
		}},
		{name: "101 to another protocol, by hand", after: byHand("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c")},
		{name: "no head"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					if test.before != nil {
						test.before(rw, nil)
					}
					conn, brw, err := rw.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					if test.after != nil {
						test.after(rw, brw.Writer)
					}
					if test.before != nil || test.after != nil {
						_, _ = conn.Write([]byte("\x81\x05hello"))
					}
					if got, err := io.ReadAll(conn); len(got) > 0 || !errors.Is(err, Revoked) {
						t.Errorf("the handler reads %x, %v", got, err)
					}
				}))
				client, returned := w.dial(h, "session")
				defer client.Close()
				read := make(chan string, 1)
				go func() {
					got, _ := io.ReadAll(client)
					read <- string(got)
				}()
				synctest.Wait()
				w.signOut("session")
				<-returned
				if got := <-read; strings.Contains(got, "\x88") ||
					(test.before != nil || test.after != nil) != strings.HasSuffix(got, "\x81\x05hello") {
					t.Errorf("the client reads %q", got)
				}
			})
		})
	}
}

// An upgrade to another protocol is cut, and its handler reads and writes the cause.
func TestOtherUpgradeIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	errs := make(chan error, 2)
	s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, brw, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = brw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nhello")
		_ = brw.Flush()
		_, err = io.Copy(io.Discard, conn)
		errs <- err
		_, err = conn.Write([]byte("late"))
		errs <- err
	})), "plain")
	conn := dialRaw(t, s)
	r := handshake("session")
	r.Host = "example.com"
	r.Header.Set("Upgrade", "tcp")
	_ = r.Write(conn)
	if _, err := readHead(conn); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	w.signOut("session")
	for _, what := range []string{"read", "write"} {
		if err := received(t, what, errs); !errors.Is(err, Revoked) {
			t.Errorf("%s: %v, want the cause", what, err)
		}
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the client reads on")
	}
	w.settled()
}
