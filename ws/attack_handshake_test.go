package ws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

// bombed is an outer layer's writer that panics with a secret in the named method.
type bombed struct {
	unwrapped
	bomb
}

func (b bombed) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		b.goOff("WriteHeader")
	}
	b.unwrapped.WriteHeader(status)
}

func (b bombed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	b.goOff("Hijack")
	c, rw, err := http.NewResponseController(b.w).Hijack()
	b.goOff("after Hijack")
	return c, rw, err
}

func bombing(in string) middleware.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ws" {
				w = bombed{unwrapped{w}, bomb{in: in}}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// witness writes down the panics that would reach net/http.
func witness(log io.Writer) middleware.Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if v := recover(); v != nil {
					if v != http.ErrAbortHandler {
						_, _ = fmt.Fprintln(log, "net/http: panic serving:", v)
					}
					panic(v)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// The attack: a handshake during which an outer layer panics, with a request behind it
// (CWE-444). Once a 101 may be out, nothing that follows is served as HTTP; and no panic
// costs a place, of members or of readable refusals, or shows its value.
func TestPanicOfAnOuterLayerDuringTheUpgrade(t *testing.T) {
	const next = "GET /internal HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, in := range []string{"WriteHeader", "Hijack", "after Hijack"} {
		for what, line := range map[string]string{"a member": "X-User: ann", "a readable refusal": "X-User:"} {
			for outside, keeps := range map[string]middleware.Middleware{"net/http": passing, "a layer that keeps panics": forgiving} {
				t.Run(strings.Join([]string{in, what, outside}, ", "), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						log := &logs{}
						g := registry(t, live.Config{Limits: live.Limits{Connections: 1, ReadableRefusals: 1}, Log: log.logger()})
						h := handler(t, ws.Config{
							DangerouslyAllowPlaintext: true, Live: g, Log: log.logger(), ExplainRefusals: true, Auth: auth(t, user{}),
						})
						l := servePlain(t, middleware.Chain(alsoInternal(h), witness(log), keeps, bombing(in)))
						for range 3 {
							conn, err := l.Dial(t.Context())
							if err != nil {
								t.Fatal(err)
							}
							_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
							_, _ = io.WriteString(conn, edited(line)+next)
							if b, _ := io.ReadAll(conn); strings.Contains(string(b), "inside") {
								t.Errorf("the second request was served:\n%s", b)
							}
							_ = conn.Close()
						}
						synctest.Wait()
						if err := g.Check(); err != nil {
							t.Errorf("a place is held: %v", err)
						}
						begin := time.Now()
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						defer cancel()
						shutdown(ctx, t, g)
						if took := time.Since(begin); took > 10*time.Second {
							t.Errorf("Shutdown waited %v", took)
						}
						if s := log.String(); strings.Contains(s, "hunter2") || strings.Count(s, "panic: string") != 3 {
							t.Errorf("want three panics without their value:\n%s", s)
						}
					})
				})
			}
		}
	}
}

// A Stripper that panics is answered, and shows nothing.
func TestPanicOfAStripperAtTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logs{}
		h := handler(t, ws.Config{DangerouslyAllowPlaintext: true, Log: log.logger(), Auth: auth(t, stripping{bomb{in: "Stripped"}})})
		l := servePlain(t, middleware.Chain(h, witness(log)))
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		res, body := answer(t, conn, edited())
		wantRefusal(t, res, body, 500, "internal")
		synctest.Wait()
		if s := log.String(); strings.Contains(s, "hunter2") || strings.Count(s, "panic: string") != 1 {
			t.Errorf("want a panic without its value:\n%s", s)
		}
	})
}

type stripping struct{ bomb }

func (s stripping) Stripped(r *http.Request) *http.Request {
	s.goOff("Stripped")
	return r
}

func passing(h http.Handler) http.Handler { return h }

// The attack: the answer before leaves no room in the kernel for the 101, and the client
// does not read. The place comes back after the two seconds of a handshake.
func TestUpgradeOfAClientThatDoesNotRead(t *testing.T) {
	for what, line := range map[string]string{"a member": "X-User: ann", "a readable refusal": "X-User:"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := registry(t, live.Config{Limits: live.Limits{Connections: 1, ReadableRefusals: 1}})
				h := handler(t, ws.Config{DangerouslyAllowPlaintext: true, Live: g, ExplainRefusals: true, Auth: auth(t, user{})})
				size := 0
				mux := http.NewServeMux()
				mux.Handle("/ws", h)
				mux.HandleFunc("/fill", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
				l := servePlain(t, mux)
				const fill = "GET /fill HTTP/1.1\r\nHost: app.example\r\n\r\n"
				dial := func(requests string) net.Conn {
					conn, err := l.Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.WriteString(conn, requests)
					return conn
				}
				size = 10_000
				conn := dial(strings.Replace(fill, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
				b, _ := io.ReadAll(conn)
				_ = conn.Close()
				size += wstest.DefaultBuffer - 100 - len(b)
				conn = dial(fill + edited(line))
				time.Sleep(2*time.Second + time.Millisecond)
				if err := g.Check(); err != nil {
					t.Errorf("a place is held: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				shutdown(ctx, t, g)
				_ = conn.Close()
			})
		})
	}
}
