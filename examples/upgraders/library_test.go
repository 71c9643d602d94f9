package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"
	coder "github.com/coder/websocket"
	"github.com/gobwas/ws/wsutil"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// sessionEnd is a way in which sockets end; end ends those of the users.
type sessionEnd struct {
	name     string
	absolute time.Duration // of the sessions; 0: the default
	end      func(w *world, cookies map[string]string)
	code     int
	reason   string
}

// sessionEnds are those of the design: the code is of the close frame (RFC 6455 §7.4).
var sessionEnds = []sessionEnd{
	{name: "logout", code: 3000, reason: "revoked", end: func(w *world, cookies map[string]string) {
		for _, cookie := range cookies {
			w.logout(cookie)
		}
	}},
	{name: "sign-out everywhere", code: 3000, reason: "revoked", end: func(w *world, cookies map[string]string) {
		for user := range cookies {
			if err := w.sessions.LogoutEverywhere(context.Background(), user); err != nil {
				w.t.Error(err)
			}
		}
	}},
	{name: "one session ended", code: 3000, reason: "revoked", end: func(w *world, cookies map[string]string) {
		for user := range cookies {
			for _, open := range w.registry.List("session", user) {
				if err := w.sessions.End(context.Background(), user, open.SessionHandle); err != nil {
					w.t.Error(err)
				}
			}
		}
	}},
	{name: "expiry", code: 3000, reason: "expired", absolute: 3 * time.Second, end: func(*world, map[string]string) {}},
	{name: "restart", code: 1012, reason: "restart", end: func(w *world, _ map[string]string) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.registry.Shutdown(ctx); err != nil {
			w.t.Error(err)
		}
	}},
}

// toldOf returns the code and reason in an error of any of the libraries.
func toldOf(err error) string {
	if told, ok := toldOfNhooyr(err); ok {
		return told
	}
	if e, ok := errors.AsType[coder.CloseError](err); ok {
		return fmt.Sprint(int(e.Code), " ", e.Reason)
	}
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Sprint(e.Code, " ", e.Text)
	}
	if e, ok := errors.AsType[*gws.CloseError](err); ok {
		return fmt.Sprint(e.Code, " ", string(e.Reason))
	}
	if e, ok := errors.AsType[wsutil.ClosedError](err); ok {
		return fmt.Sprint(uint16(e.Code), " ", e.Reason)
	}
	if e, ok := errors.AsType[centrifuge.Disconnect](err); ok {
		return fmt.Sprint(e.Code, " ", e.Reason)
	}
	return fmt.Sprint(err)
}

// lost returns the error that the handler of a library reads in place of code and reason.
func lost(library string, code int) string {
	switch {
	case library == "golang.org/x/net/websocket":
		return "EOF"
	case library == "centrifugal/centrifuge":
		return "3000 connection closed"
	case library == "gobwas/ws" && code == 1012: // which is not in RFC 6455, but in IANA's registry
		return "status code is not defined in spec"
	}
	return ""
}

// variant is a library with compression or without.
type variant struct {
	library
	deflate bool
	ended   chan error // of its sockets
}

func variants() (all []*variant) {
	for _, l := range libraries {
		all = append(all, &variant{l, false, make(chan error, 10)})
		if l.deflates {
			l.path += "/deflate"
			all = append(all, &variant{l, true, make(chan error, 10)})
		}
	}
	return all
}

func (v *variant) bind(t *testing.T, s *site) {
	h, err := v.handler(t.Context(), settings{v.deflate, func(err error) { v.ended <- err }})
	if err != nil {
		t.Fatal(err)
	}
	s.bind("GET "+v.path, h)
}

// Every library, plain and over TLS, with compression and without: at each kind of end the
// client reads code and reason, the handler ends by the normal path of the library, the 101
// has the header of outer layers, and nothing stays open.
func TestLibrariesEndWithTheSession(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "TLS"} {
		for _, ending := range sessionEnds {
			t.Run(kind+"/"+ending.name, func(t *testing.T) {
				t.Parallel()
				all := variants()
				w := newWorld(t, kind, session.Config{Absolute: ending.absolute},
					live.Config{Timeouts: live.Timeouts{Spread: time.Millisecond}}, func(s *site) {
						for _, v := range all {
							v.bind(t, s)
						}
					})
				cookies, sockets := map[string]string{}, map[*variant]*socket{}
				for _, v := range all {
					cookies[v.path] = w.login(v.path)
					s := w.connect(t, v.upgrader, cookies[v.path], v.deflate)
					s.echoes(100)
					s.echoes(70_000)
					sockets[v] = s
				}
				ending.end(w, cookies)
				for _, v := range all {
					sockets[v].ends(ending.code, ending.reason)
					want := cmp.Or(lost(v.name, ending.code), fmt.Sprint(ending.code, " ", ending.reason))
					if err := received(t, v.path, v.ended); toldOf(err) != want {
						t.Errorf("%s: the handler is told %q, want %q", v.path, toldOf(err), want)
					}
					w.settled(v.path)
				}
			})
		}
	}
}
