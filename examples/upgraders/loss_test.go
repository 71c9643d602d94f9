package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// bound serves the handler behind the layer over TLS, connects to it, and returns the steps
// that end the session.
func bound(t *testing.T, h http.HandlerFunc) (client *socket, logout func()) {
	t.Helper()
	w := newWorld(t, "TLS", session.Config{}, live.Config{}, func(s *site) { s.bind("GET /", h) })
	cookie := w.login("ann")
	return w.connect(t, upgrader{path: "/", name: t.Name()}, cookie, false), func() {
		w.logout(cookie)
		client.ends(3000, "revoked")
		w.settled("ann")
	}
}

// A library that asks for the connection gets one that no poller of the application can use
// and that has no writev: a way around the layer would be a way around the end.
func TestConnectionIsNotThatOfTheNetwork(t *testing.T) {
	t.Parallel()
	conns := make(chan net.Conn, 1)
	_, logout := bound(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		conns <- c.NetConn()
		_, _, _ = c.ReadMessage()
	})
	c := received(t, "the connection", conns)
	if _, ok := c.(*net.TCPConn); ok {
		t.Error("it is a *net.TCPConn")
	}
	if _, ok := c.(syscall.Conn); ok {
		t.Error("it has SyscallConn")
	}
	if _, ok := c.(interface{ NetConn() net.Conn }); ok {
		t.Error("it has NetConn")
	}
	logout()
}

// CloseRead, for handlers that only write: the context that it returns ends.
func TestCloseReadEnds(t *testing.T) {
	t.Parallel()
	for name, closeRead := range map[string]func(http.ResponseWriter, *http.Request) (context.Context, error){
		"coder": func(w http.ResponseWriter, r *http.Request) (context.Context, error) {
			c, err := coder.Accept(w, r, nil)
			if err != nil {
				return nil, err
			}
			return c.CloseRead(r.Context()), nil
		},
		"nhooyr": closeReadOfNhooyr,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			_, logout := bound(t, func(w http.ResponseWriter, r *http.Request) {
				ctx, err := closeRead(w, r)
				if err != nil {
					t.Error(err)
					return
				}
				<-ctx.Done()
				<-r.Context().Done()
				ended <- context.Cause(r.Context())
			})
			logout()
			if cause := received(t, "the context's end", ended); !errors.Is(cause, live.Revoked) {
				t.Errorf("the context has ended with %v", cause)
			}
		})
	}
}

// HandleClose of melody is told code and reason.
func TestMelodyHandlesTheClose(t *testing.T) {
	t.Parallel()
	m := melody.New()
	t.Cleanup(func() { _ = m.Close() })
	closes := make(chan string, 1)
	m.HandleClose(func(_ *melody.Session, code int, reason string) error {
		closes <- fmt.Sprint(code, " ", reason)
		return nil
	})
	_, logout := bound(t, func(w http.ResponseWriter, r *http.Request) { _ = m.HandleRequest(w, r) })
	logout()
	if told := received(t, "HandleClose", closes); told != "3000 revoked" {
		t.Errorf("HandleClose is told %q", told)
	}
}
