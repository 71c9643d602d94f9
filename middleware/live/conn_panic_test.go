package live

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// net/http leaves a hijacked connection open if its handler panics. The layer ends it: a
// WebSocket with 1011, another one at once.
func TestPanicEndsTheHijackedConnection(t *testing.T) {
	for _, test := range []struct {
		name    string
		upgrade string // in the 101
		sent    []byte // before the panic
		leave   func()
		code    uint16        // of the close frame; 0: none
		within  time.Duration // TCP ends, if the client does not answer
	}{
		{name: "a WebSocket", upgrade: "websocket", leave: func() { panic("test") }, code: 1011, within: time.Second},
		{
			name: "a WebSocket, by http.ErrAbortHandler", upgrade: "websocket",
			leave: func() { panic(http.ErrAbortHandler) }, code: 1011, within: time.Second,
		},
		{name: "a WebSocket, by runtime.Goexit", upgrade: "websocket", leave: runtime.Goexit, code: 1011, within: time.Second},
		{
			name: "a WebSocket within a frame", upgrade: "websocket",
			sent: []byte{0x81, 5, 'h'}, leave: func() { panic("test") }, within: time.Second,
		},
		{name: "another protocol", upgrade: "h2c", leave: func() { panic("test") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				read := make(chan frame, 1)
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Upgrade", test.upgrade)
					rw.WriteHeader(http.StatusSwitchingProtocols)
					conn, _, err := rw.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = conn.Write(test.sent)
					go func() { // as a library that reads on its own
						f, _ := parseFrame(conn, true)
						read <- f
					}()
					time.Sleep(time.Second)
					test.leave()
				}))
				client, server := net.Pipe()
				defer client.Close()
				go func() {
					defer func() { _ = recover() }() // as net/http does
					h.ServeHTTP(&pipeWriter{httptest.NewRecorder(), server}, handshake("session"))
				}()
				_, _ = io.ReadFull(client, make([]byte, len(test.sent)))
				began := time.Now().Add(time.Second)
				_, code, reason, err := readEnding(client)
				if code != test.code || code != 0 && reason != "internal" {
					t.Errorf("the client reads %d %q, %v, want %d", code, reason, err, test.code)
				}
				if took := time.Since(began); took != test.within {
					t.Errorf("TCP ended after %v, want %v", took, test.within)
				}
				if f := <-read; test.code != 0 && f.opcode != 8 {
					t.Errorf("the goroutine of the handler reads %v", f)
				}
				synctest.Wait()
				if n := w.open.Load(); n != 0 {
					t.Errorf("%d members are left", n)
				}
				if e := w.seen(Ended); len(e) != 1 || e[0].Cause.Code != 1011 {
					t.Errorf("events %v, want one with 1011", e)
				}
			})
		})
	}
}

// A response whose handler panicked has not completed, in the events.
func TestPanicIsTheCauseOfTheEvent(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		answer(w.front(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			r.Context().Done()
			panic(http.ErrAbortHandler)
		})), request("session", http.MethodGet))
		if e := w.seen(Ended); len(e) != 1 || e[0].Cause.Code != 1011 {
			t.Errorf("events %v, want one with 1011", e)
		}
	})
}
