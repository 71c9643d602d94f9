package live

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A response of another kind than events is complete, or is aborted: it never only looks
// complete.
func TestResponsesAtTheEnd(t *testing.T) {
	write := func(rw http.ResponseWriter, text string) error {
		_, err := io.WriteString(rw, text)
		return err
	}
	for _, test := range []struct {
		name    string
		cause   *Cause
		handler func(rw http.ResponseWriter, r *http.Request)
		status  int // 0: aborted
	}{
		{"it gives up after a part", Revoked, func(rw http.ResponseWriter, r *http.Request) { _ = write(rw, "half"); <-r.Context().Done() }, 0},
		{"it gives up after a flushed header", Revoked, func(rw http.ResponseWriter, r *http.Request) { rw.(http.Flusher).Flush(); <-r.Context().Done() }, 0},
		{"it has written its Content-Length", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "4")
			_ = write(rw, "full")
			<-r.Context().Done()
		}, 200},
		{"it reaches its Content-Length within the grace", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "8")
			_ = write(rw, "half")
			<-r.Context().Done()
			_ = write(rw, "half")
		}, 200},
		{"it writes on within the grace, to an unknown length", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			_ = write(rw, "half")
			<-r.Context().Done()
			_ = write(rw, "more")
		}, 0},
		{"it goes on after the grace", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			_ = write(rw, "half")
			<-r.Context().Done()
			time.Sleep(1100 * time.Millisecond)
			if err := write(rw, "half"); !errors.Is(err, Revoked) {
				t.Errorf("a write after the grace: %v", err)
			}
		}, 0},
		{"revoked, it is deaf and answers late", Revoked, func(rw http.ResponseWriter, r *http.Request) {
			r.Context().Done()
			time.Sleep(5 * time.Second)
			_ = write(rw, "late")
		}, 401},
		{"revoked, it answers at once", Revoked, func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); _ = write(rw, "secret") }, 401},
		{"restart, it answers within the grace", Restart, func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); _ = write(rw, "last") }, 200},
		{"it panics", Revoked, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				time.AfterFunc(time.Second, func() { w.endAll(test.cause) })
				if rec := answer(w.front(http.HandlerFunc(test.handler)), request("session", http.MethodGet)); rec.Code != test.status {
					t.Errorf("%d %s, want %d", rec.Code, rec.Body, test.status)
				}
			})
		})
	}
}

// Whether a handler reads, closes, sets deadlines or does nothing at the end of its
// connection, the client gets the close frame, TCP stays for the grace, and the context ends.
func TestHandlersOfAConnectionAtItsEnd(t *testing.T) {
	for name, handler := range map[string]func(conn net.Conn, r *http.Request){
		"it closes at once": func(conn net.Conn, _ *http.Request) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		},
		"it sets deadlines in the past": func(conn net.Conn, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.SetDeadline(time.Unix(1, 0))
				_ = conn.SetReadDeadline(time.Unix(1, 0))
				_ = conn.SetWriteDeadline(time.Unix(1, 0))
				time.Sleep(10 * time.Millisecond)
			}
		},
		"it waits for the context alone": func(_ net.Conn, r *http.Request) { <-r.Context().Done() },
		"it writes alone": func(conn net.Conn, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := conn.Write(buildFrame(0x81, nil, false)); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
		"it has closed by a close frame of its own": func(conn net.Conn, r *http.Request) {
			<-r.Context().Done()
			_, _ = conn.Write(buildFrame(0x88, []byte{3, 232}, false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				var cause error
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					rw.WriteHeader(http.StatusSwitchingProtocols)
					conn, _, err := rw.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					handler(conn, r)
					<-r.Context().Done()
					cause = context.Cause(r.Context())
				}))
				client, returned := w.dial(h, "session")
				defer client.Close()
				began := time.Now()
				time.AfterFunc(time.Second, func() { w.signOut("session") })
				if _, code, reason, err := readEnding(client); code != 3000 || reason != "revoked" || err != nil {
					t.Errorf("%d %q, %v", code, reason, err)
				}
				if took := time.Since(began); took != 2*time.Second { // readEnding waits for TCP
					t.Errorf("TCP ended after %v, want 1 s until the end and 1 s of grace", took)
				}
				<-returned
				if took := time.Since(began); !errors.Is(cause, Revoked) || took > 2*time.Second {
					t.Errorf("the context ended with %v, after %v", cause, took)
				}
			})
		})
	}
}

// A peer that answers the close frame does not wait for the grace.
func TestAnsweredCloseEndsAtOnce(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, _ := rw.(http.Hijacker).Hijack()
			_, _ = io.Copy(io.Discard, conn)
		}))
		client, _ := w.dial(h, "session")
		defer client.Close()
		synctest.Wait()
		began := time.Now()
		w.signOut("session")
		if _, code, _, err := readEnding(&answering{Conn: client}); code != 3000 || err != nil {
			t.Errorf("%d, %v", code, err)
		}
		synctest.Wait()
		if took := time.Since(began); took != 0 || w.open.Load() != 0 {
			t.Errorf("%v, %d members", took, w.open.Load())
		}
	})
}
