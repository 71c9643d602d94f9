package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
)

// push sends number after number until the site stops. It ignores its context, and goes on for
// five more numbers when a write has failed.
func (s *site) push(c *cell, write func(n int) error) {
	every := time.NewTicker(s.interval)
	defer every.Stop()
	for failures := 0; failures < 5; {
		if write(c.produced.next()) != nil {
			failures++
		}
		select {
		case <-every.C:
		case <-s.stop:
			return
		}
	}
}

// accept reads number after number until the connection ends.
func (c *cell) accept(read func() ([]byte, error)) {
	for {
		p, err := read()
		if err != nil {
			return
		}
		if n, err := strconv.Atoi(string(p)); err == nil {
			c.accepted.note(n)
		}
	}
}

// serveSocket is the Serve of a ws.Handler. Every second number goes through the queue.
func (s *site) serveSocket(_ context.Context, conn *ws.Conn) error {
	c := conn.Value().(*cell)
	c.renewed.Store(len(conn.Principal().Roles) > 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.accept(func() ([]byte, error) {
			_, p, err := conn.Read()
			return p, err
		})
	}()
	s.push(c, func(n int) error {
		p := []byte(strconv.Itoa(n))
		if n%2 == 0 {
			return conn.Send(websocket.MessageText, p)
		}
		return conn.Write(websocket.MessageText, p)
	})
	_ = conn.Close(websocket.StatusGoingAway, "")
	<-done
	return nil
}

// serveWire is the same without package ws, as handlers of other libraries do it.
func (s *site) serveWire(w http.ResponseWriter, r *http.Request) {
	conn, err := live.UpgradeWire(w, r)
	if err != nil {
		return
	}
	c, done := s.cellOf(r), make(chan struct{})
	c.renewedBy(r)
	go func() {
		defer close(done)
		c.accept(func() ([]byte, error) {
			_, p, err := conn.Receive()
			if f, ok := errors.AsType[*live.WireClosed](err); ok {
				_ = conn.SendClose(f.Code, "")
			}
			return p, err
		})
	}()
	s.push(c, func(n int) error { return conn.Send(live.WireText, []byte(strconv.Itoa(n))) })
	_ = conn.Close()
	<-done
}

func (c *cell) renewedBy(r *http.Request) {
	p, _ := middleware.FromContext(r.Context())
	c.renewed.Store(len(p.Roles) > 0)
}

// serveREST takes the number that a client posts, and answers with one of its own.
func (s *site) serveREST(w http.ResponseWriter, r *http.Request) {
	c := s.cellOf(r)
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil {
		c.accepted.note(n)
	}
	_, _ = fmt.Fprint(w, c.produced.next())
}

// serveEvents, serveDownload and servePoll answer at once if the client only wants to know
// whether it may ask.
func (s *site) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	s.serveNumbers(w, r, "data: %d\n\n")
}

func (s *site) serveDownload(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	s.serveNumbers(w, r, "%d\n")
}

func (s *site) serveNumbers(w http.ResponseWriter, r *http.Request, format string) {
	if r.URL.Query().Has("again") {
		return
	}
	c, control := s.cellOf(r), http.NewResponseController(w)
	c.renewedBy(r)
	s.push(c, func(n int) error {
		if _, err := fmt.Fprintf(w, format, n); err != nil {
			return err
		}
		return control.Flush()
	})
}

// servePoll has its context watched, as any call of a database does, but waits for its answer
// alone.
func (s *site) servePoll(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("again") {
		return
	}
	c := s.cellOf(r)
	c.renewedBy(r)
	stop := context.AfterFunc(r.Context(), func() { c.once[1].Do(func() { close(c.left) }) })
	defer stop()
	c.once[0].Do(func() { close(c.waiting) })
	select {
	case <-c.answers:
	case <-s.stop:
	}
	_, _ = fmt.Fprint(w, c.produced.next())
}
