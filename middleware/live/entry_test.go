package live

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/securews/securews/middleware"
)

func request(session, method string) *http.Request {
	r := requestFrom("192.0.2.1:1234")
	r.Method = method
	r.Header.Set("Session", session)
	return r
}

// answer serves one request and returns the response. A panic with http.ErrAbortHandler is
// the status 0.
func answer(h http.Handler, r *http.Request) (rec *httptest.ResponseRecorder) {
	rec = httptest.NewRecorder()
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			rec.Code = 0
		} else if v != nil {
			panic(v)
		}
	}()
	h.ServeHTTP(rec, r)
	return rec
}

// A response becomes a member by the events of this table, and by no other.
func TestResponseThatWaitsOrStreamsIsAMember(t *testing.T) {
	for _, test := range []struct {
		name    string
		accept  string
		handler func(rw http.ResponseWriter, r *http.Request)
		members int64
	}{
		{"nothing is written", "", func(http.ResponseWriter, *http.Request) {}, 0},
		{"a short answer", "", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 1000)) }, 0},
		{"Err, Deadline and Value", "", func(_ http.ResponseWriter, r *http.Request) {
			_ = r.Context().Err()
			_, _ = r.Context().Deadline()
			_ = r.Context().Value(credential{})
			_ = context.Cause(r.Context())
		}, 0},
		{
			"a context derived without an end", "",
			func(_ http.ResponseWriter, r *http.Request) { _ = context.WithValue(r.Context(), credential{}, 1) }, 0,
		},
		{"Done", "", func(_ http.ResponseWriter, r *http.Request) { r.Context().Done() }, 1},
		{"a time-out", "", func(_ http.ResponseWriter, r *http.Request) {
			_, cancel := context.WithTimeout(r.Context(), time.Second)
			cancel()
		}, 1},
		{"Flush", "", func(rw http.ResponseWriter, _ *http.Request) { rw.(http.Flusher).Flush() }, 1},
		{"64 KiB less 1 B", "", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 65535)) }, 0},
		{"64 KiB", "", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 65536)) }, 1},
		{"64 KiB by ReadFrom", "", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(rw, strings.NewReader(strings.Repeat("a", 65536)))
		}, 1},
		{"the header of an event stream", "", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			rw.WriteHeader(200)
		}, 1},
		{"it accepts an event stream", "application/json, text/event-stream;q=0.5", func(http.ResponseWriter, *http.Request) {}, 1},
		{"it accepts everything", "*/*", func(http.ResponseWriter, *http.Request) {}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					test.handler(rw, r)
					if n := w.open.Load(); n != test.members {
						t.Errorf("%d members, want %d", n, test.members)
					}
				}))
				r := request("session", http.MethodGet)
				if test.accept != "" {
					r.Header.Set("Accept", test.accept)
				}
				answer(h, r)
			})
		})
	}
}

// A revocation between the authentication and the entry is never missed, however many
// others came meanwhile.
func TestRevokedBeforeTheEntry(t *testing.T) {
	revoke := func(w *world) { w.signOut("session") }
	overrun := func(w *world) {
		w.signOut("session")
		for i := range ringSize + 10 {
			w.store.revoke(middleware.Revocation{SessionHandle: fmt.Sprint("other ", i)})
		}
	}
	subject := func(w *world) { w.store.revoke(middleware.Revocation{Subject: "ann"}) }
	waits := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	flushes := func(rw http.ResponseWriter, _ *http.Request) { rw.(http.Flusher).Flush() }
	for _, event := range []struct {
		name string
		fn   func(*world)
	}{{"the session", revoke}, {"the session, and the ring is overrun", overrun}, {"the subject", subject}} {
		for _, test := range []struct {
			name          string
			front, before func(*world)
			handler       func(http.ResponseWriter, *http.Request)
		}{
			{"in front of the layer, then Done", event.fn, nil, waits},
			{"in front of the layer, then Flush", event.fn, nil, flushes},
			{"in the handler, then Done", nil, event.fn, waits},
			{"in the handler, then Flush", nil, event.fn, flushes},
		} {
			t.Run(event.name+" "+test.name, func(t *testing.T) {
				inBubble(t, Config{}, func(t *testing.T, w *world) {
					// the Auth is followed
					w.join(with(ann, func(p *middleware.Principal) {
						p.Subject, p.SessionHandle, p.TokenHandle = "bob", "b", ""
					})).Leave(nil)
					time.Sleep(time.Millisecond)
					layer := w.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if test.before != nil {
							time.Sleep(time.Millisecond)
							test.before(w)
						}
						test.handler(rw, r)
					}))
					h := w.auth.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if test.front != nil {
							time.Sleep(time.Millisecond)
							test.front(w)
						}
						layer.ServeHTTP(rw, r)
					}))
					r := request("", http.MethodGet)
					r = r.WithContext(context.WithValue(r.Context(), credential{},
						with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = "session", "" })))
					if rec := answer(h, r); rec.Code != 401 || !strings.Contains(rec.Body.String(), "credential_revoked") {
						t.Errorf("%d %s, want 401 credential_revoked", rec.Code, rec.Body)
					}
				})
			})
		}
	}
}

// A handshake that is revoked at any step is refused, or ends with the close frame.
func TestRevokedDuringTheUpgrade(t *testing.T) {
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	for step, name := range []string{
		"before the upgrade", "between WriteHeader and Hijack",
		"between Hijack and the head", "within the head", "after the head", "within the first frame",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{}, func(t *testing.T, w *world) {
				at := func(now int) {
					if now == step {
						w.signOut("session")
						synctest.Wait()
					}
				}
				h := w.front(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					at(0)
					if step == 1 {
						rw.WriteHeader(http.StatusSwitchingProtocols)
						at(1)
					}
					conn, brw, err := rw.(http.Hijacker).Hijack()
					if err != nil {
						http.Error(rw, "library", http.StatusInternalServerError)
						return
					}
					defer conn.Close()
					if at(2); step != 1 {
						_, _ = brw.WriteString(head[:20])
						_ = brw.Flush()
						at(3)
						_, _ = brw.WriteString(head[20:])
						_ = brw.Flush()
					}
					at(4)
					frame := buildFrame(0x81, []byte("hello"), false)
					_, _ = conn.Write(frame[:3])
					at(5)
					_, _ = conn.Write(frame[3:])
					if f, err := parseFrame(oneByte{conn}, true); err != nil || f.opcode != 8 {
						t.Errorf("the handler has read %v, %v", f, err)
					}
				}))
				wantUpgradeEnded(t, w, h, step)
			})
		})
	}
}

func wantUpgradeEnded(t *testing.T, w *world, h http.Handler, step int) {
	t.Helper()
	if step == 0 {
		if rec := answer(h, handshake("session")); rec.Code != 401 || strings.Contains(rec.Body.String(), "library") {
			t.Errorf("%d %s, want 401", rec.Code, rec.Body)
		}
		return
	}
	client, _ := w.dial(h, "session")
	defer client.Close()
	if step != 1 {
		res, err := readHead(client)
		if err != nil || res.StatusCode != 101 || res.Header.Get("X-Outer") == "" {
			t.Errorf("head %v, %v", res, err)
			return
		}
	}
	frames, code, reason, err := readEnding(client)
	if code != 3000 || reason != "revoked" || err != nil || frames != step/5 {
		t.Errorf("%d %q after %d frames, %v", code, reason, frames, err)
	}
}

// Limits refuse before a byte is out, and count a response that is out already.
func TestLimitsRefuseBeforeTheHeaderIsOut(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler func(rw http.ResponseWriter, r *http.Request)
		status  int
	}{
		{"Flush", func(rw http.ResponseWriter, _ *http.Request) { rw.(http.Flusher).Flush() }, 429},
		{"Done", func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); _, _ = rw.Write([]byte("late")) }, 429},
		{"an event stream", func(rw http.ResponseWriter, _ *http.Request) { beginEvents(rw) }, 429},
		{"a download is counted", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 1<<20)) }, 200},
		{"a short answer is not a member", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("a")) }, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, Config{Limits: Limits{PerPrincipal: 1}}, func(t *testing.T, w *world) {
				f := w.join(ann)
				defer f.Leave(nil)
				rec := answer(w.front(http.HandlerFunc(test.handler)), request("session", http.MethodGet))
				if rec.Code != test.status || test.status == 429 && rec.Header().Get("Retry-After") == "" {
					t.Errorf("%d %v %s, want %d", rec.Code, rec.Header(), rec.Body, test.status)
				}
			})
		})
	}
}

func TestWithoutAVoucherItAnswers500AndLogsTheRouteOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	mux := http.NewServeMux()
	mux.Handle("GET /live", w.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler is called") })))
	for range 3 {
		if rec := answer(mux, requestFrom("192.0.2.1:1234")); rec.Code != 500 {
			t.Errorf("answered %d", rec.Code)
		}
	}
	if got := w.log.String(); strings.Count(got, "no middleware.Auth") != 1 || !strings.Contains(got, `route="GET /live"`) {
		t.Errorf("logged %s", got)
	}
	var zero *Registry
	if rec := answer(zero.Handler(nil), requestFrom("192.0.2.1:1234")); rec.Code != 500 {
		t.Errorf("the zero Registry answers %d", rec.Code)
	}
}

// Behind itself the layer does nothing; behind another Auth it binds again.
func TestLayerBehindItselfDoesNothing(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		count := func(want int64) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				r.Context().Done()
				if n := w.open.Load(); n != want {
					t.Errorf("%d members, want %d", n, want)
				}
			})
		}
		answer(w.front(w.Handler(count(1))), request("session", http.MethodGet))
		other := authOver(t, w.store)
		answer(w.front(other.Handler(w.Handler(count(2)))), request("session", http.MethodGet))
	})
}

// The context and the writer of a handler that has returned do not make a member, and reach
// no other response.
func TestReturnedHandlerReachesNoOtherResponse(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, w *world) {
		var ctx context.Context
		var late http.ResponseWriter
		rec := answer(w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { ctx, late = r.Context(), rw })),
			request("session", http.MethodGet))
		ctx.Done()
		if _, err := late.Write([]byte("late")); err == nil || rec.Body.Len() > 0 {
			t.Errorf("a late write: %v, %q", err, rec.Body)
		}
		late.(http.Flusher).Flush()
		if err := http.NewResponseController(late).SetWriteDeadline(time.Now()); err == nil {
			t.Error("a late deadline")
		}
	})
}
