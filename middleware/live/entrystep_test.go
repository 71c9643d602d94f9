package live

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// The steps of a request at which its session can be revoked.
const (
	beforeAuth   = iota
	duringAuth   // the store has answered that the session is good
	betweenBoth  // the Auth and the layer
	duringEntry  // the Auth is asked again, and the store has answered
	beforeAction // of the handler: what makes the response a member, if it is not one before
	afterAction
	allSteps
)

var stepNames = [allSteps]string{
	"before the Auth asks", "while the Auth asks",
	"between the Auth and the layer", "while the response enters", "before the handler acts", "after the handler acts",
}

// entering is a kind of response, and how it ends if its session is revoked at a step.
type entering struct {
	name   string
	header http.Header
	serve  func(rw http.ResponseWriter, r *http.Request, at func(step int))
	late   string // if it is revoked after the action; before, it is refused
	early  bool   // it enters before the handler is called
}

const refusedEntry = "401 credential_revoked"

var enterings = []entering{
	{
		name: "a long poll", late: refusedEntry,
		serve: func(_ http.ResponseWriter, r *http.Request, at func(int)) {
			at(beforeAction)
			done := r.Context().Done()
			at(afterAction)
			<-done
		},
	},
	{
		name: "a header that is flushed", late: "aborted",
		serve: func(rw http.ResponseWriter, r *http.Request, at func(int)) {
			at(beforeAction)
			rw.(http.Flusher).Flush()
			at(afterAction)
			<-r.Context().Done()
		},
	},
	{
		name: "64 KiB at once", late: "aborted",
		serve: func(rw http.ResponseWriter, r *http.Request, at func(int)) {
			at(beforeAction)
			_, _ = rw.Write(make([]byte, 64<<10))
			at(afterAction)
			<-r.Context().Done()
		},
	},
	{
		name: "an event stream that the client accepts", late: "200 revoked", early: true,
		header: http.Header{"Accept": {"text/event-stream"}}, serve: serveEvents,
	},
	{name: "an event stream by its header", late: "200 revoked", serve: serveEvents},
	{
		name: "a WebSocket", late: "101 3000 revoked", early: true, header: handshake("").Header,
		serve: func(rw http.ResponseWriter, _ *http.Request, at func(int)) {
			at(beforeAction)
			conn, _, err := rw.(http.Hijacker).Hijack()
			if err != nil {
				http.Error(rw, "library", http.StatusInternalServerError)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			at(afterAction)
			_, _ = io.Copy(io.Discard, conn)
		},
	},
}

func serveEvents(rw http.ResponseWriter, r *http.Request, at func(int)) {
	at(beforeAction)
	beginEvents(rw)
	at(afterAction)
	<-r.Context().Done()
}

// ending returns how the response ends if the revocation has effect at a step.
func (e *entering) ending(step int) string {
	if step == afterAction {
		return e.late
	}
	return refusedEntry
}

// stepping is a store that tells when it has answered.
type stepping struct {
	*store
	at func(step int)
}

func (s *stepping) Authenticate(r *http.Request) (middleware.Principal, error) {
	p, err := s.store.Authenticate(r)
	if err == nil && p.Subject == ann.Subject {
		s.at(duringAuth)
	}
	return p, err
}

// A revocation is never missed. The store learns of it at any step of a response, and tells
// the registry at that step or at a later one: the response ends as it does for one of the
// two.
func TestRevokedAtEveryStepOfAResponse(t *testing.T) {
	for _, e := range enterings {
		for name, v := range map[string]middleware.Revocation{"session": {SessionHandle: "session"}, "subject": {Subject: ann.Subject}} {
			for learned := range allSteps {
				for told := learned; told < allSteps; told++ {
					for _, first := range []bool{true, false} {
						sentence := fmt.Sprintf("%s, the %s revoked %s, told %s, first voucher %v",
							e.name, name, stepNames[learned], stepNames[told], first)
						t.Run(sentence, func(t *testing.T) {
							inBubble(t, Config{}, func(t *testing.T, w *world) { wantEndingAt(t, w, e, v, learned, told, first) })
						})
					}
				}
			}
		}
	}
}

func wantEndingAt(t *testing.T, w *world, e entering, v middleware.Revocation, learned, told int, first bool) {
	t.Helper()
	next, running := 0, make(chan struct{}, 1)
	at := func(step int) {
		select {
		case running <- struct{}{}:
		default:
			return // the store is asked because of the step that runs
		}
		for ; next <= step; next++ {
			if next == learned {
				w.store.learn(v)
			}
			if next == told {
				w.store.tell(v)
			}
			time.Sleep(time.Millisecond)
		}
		<-running
	}
	a := authOver(t, &stepping{w.store, at})
	if !first { // the Auth is followed already
		w.joinAs(&fake{}, a, middleware.Principal{Issuer: "i", Subject: "other", SessionHandle: "other"}).Leave(nil)
		time.Sleep(time.Millisecond)
	}
	w.store.answer(func(_ context.Context, p middleware.Principal) error {
		err := w.store.good(p)
		at(duringEntry)
		return err
	})
	called := false
	layer := w.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { called = true; e.serve(rw, r, at) }))
	h := a.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { at(betweenBoth); layer.ServeHTTP(rw, r) }))
	r := request("", http.MethodGet)
	maps.Copy(r.Header, e.header)
	r = r.WithContext(context.WithValue(r.Context(), credential{},
		with(ann, func(p *middleware.Principal) { p.SessionHandle, p.TokenHandle = "session", "" })))
	began := time.Now()
	at(beforeAuth)
	got := w.endingOf(h, r)
	if took := time.Since(began); took > 2*time.Second { // long before a recheck
		t.Errorf("ended after %v", took)
	}
	if want := []string{e.ending(learned), e.ending(told)}; !slices.Contains(want, got) {
		t.Errorf("ended %s, want one of %q", got, want)
	}
	known := told <= betweenBoth || told == duringEntry && first // which step duringEntry is only then
	if (learned == beforeAuth || known && e.early) && called {
		t.Error("the handler was called")
	}
}

// endingOf serves the request, and says how its response ended.
func (w *world) endingOf(h http.Handler, r *http.Request) string {
	client, server := net.Pipe()
	defer client.Close()
	read := make(chan string, 1)
	go func() {
		res, err := readHead(client)
		if err != nil {
			read <- ""
			return
		}
		_, code, reason, _ := readEnding(client)
		read <- fmt.Sprint(res.StatusCode, " ", code, " ", reason)
	}()
	rec := httptest.NewRecorder()
	aborted := serveAborted(h, &pipeWriter{rec, server}, r)
	_ = server.Close()
	switch upgraded, body := <-read, rec.Body.String(); {
	case upgraded != "":
		return upgraded
	case aborted:
		return "aborted"
	default: // a problem, or a last event
		_, reason, _ := strings.Cut(body, `"reason":"`)
		reason, _, _ = strings.Cut(reason, `"`)
		return fmt.Sprint(rec.Code, " ", reason)
	}
}

// serveAborted reports whether the response was aborted.
func serveAborted(h http.Handler, rw http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			aborted = true
		} else if v != nil {
			panic(v)
		}
	}()
	h.ServeHTTP(rw, r)
	return false
}
