package ws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// goroutines counts those with a function of package ws on their stack.
func goroutines() int {
	buf := make([]byte, 1<<20)
	for n := runtime.Stack(buf, true); n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	n := 0
	for _, stack := range strings.Split(strings.TrimRight(string(buf), "\x00"), "\n\n") {
		if strings.Contains(stack, "/securews/ws.") {
			n++
		}
	}
	return n
}

// backTo polls until no more goroutines are left than there were.
func backTo(t *testing.T, base int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for goroutines() > base {
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("%d goroutines of the package, %d before", goroutines(), base)
			return
		}
	}
}

// A panic in Serve, over TLS and the kernel's sockets: 1011 for that connection and no
// other, logged once, and nothing of it is left (RFC 6455 §7.4.1, ASVS 16.5.4).
func TestPanicOverTLS(t *testing.T) {
	const panics = 20
	before := goroutines()
	log := &logs{}
	g := registry(t, live.Config{Limits: live.Limits{Connections: 2}}) // so that each needs the place of the one before
	h := handler(t, ws.Config{
		Auth: auth(t, user{}), Live: g, Log: log.logger(),
		Serve: func(ctx context.Context, c *ws.Conn) error {
			if c.Principal().Subject != "eve" {
				return echo(ctx, c)
			}
			_, p, err := c.Read()
			if err != nil {
				return err
			}
			panic(string(p))
		},
	})
	srv := httptest.NewTLSServer(h)
	defer srv.Close()
	connect := func(name string) *websocket.Conn {
		t.Helper()
		c, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{
			HTTPClient: srv.Client(), HTTPHeader: http.Header{"Origin": {"https://app.example"}, "X-User": {name}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	say := func(c *websocket.Conn, text string) {
		t.Helper()
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	ann := connect("ann")
	hear := func(text string) {
		t.Helper()
		say(ann, text)
		if _, p, err := ann.Read(t.Context()); err != nil || string(p) != text {
			t.Errorf("the other connection: read %q, %v", p, err)
		}
	}
	hear("before")
	alone := goroutines()
	for range panics {
		eve := connect("eve")
		say(eve, "hunter2")
		if e, _ := ending(eve); e.Code != 1011 || e.Reason != "internal" {
			t.Errorf("closed with %v, want 1011 internal", e)
		}
		backTo(t, alone) // so that the next one finds a place
		hear("still here")
	}
	if s := log.String(); strings.Count(s, `msg="ws: panic in Serve"`) != panics || strings.Count(s, "stack=") != panics ||
		strings.Contains(s, "hunter2") {
		t.Errorf("want a stack for each of %d panics, and no payload:\n%s", panics, s)
	}
	_ = ann.Close(websocket.StatusNormalClosure, "")
	shutdown(t.Context(), t, g)
	backTo(t, before)
}

// ASVS 16.2.5: the text of a panic in Serve is logged only by DangerouslyLogPanicText, and the
// peer never reads it.
func TestTextOfAPanicInServe(t *testing.T) {
	for text, want := range map[bool]int{false: 0, true: 2} { // of the panic, and of the connection's end
		synctest.Test(t, func(t *testing.T) {
			log := &logs{}
			logger := log.logger()
			if text {
				logger = middleware.DangerouslyLogPanicText(logger)
			}
			n := start(t, ws.Config{Log: logger, Serve: func(context.Context, *ws.Conn) error { panic(errors.New("hunter2\nlevel=INFO")) }})
			wantEnding(t, n.connect("ann"), 1011, "internal", 0, 0)
			synctest.Wait()
			s := log.String()
			if strings.Count(s, `panic_text="hunter2\\nlevel=INFO"`) != want || strings.Count(s, "hunter2") != want ||
				strings.Count(s, "\nlevel=INFO") > 0 {
				t.Errorf("want the text %d times:\n%s", want, s)
			}
		})
	}
}
