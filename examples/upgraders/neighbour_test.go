package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"
)

// Two users have a stream each over one HTTP/2 connection. The logout of one ends the own
// stream, by the handler or by a reset, and the other stream goes on until its own logout.
func TestNeighbourOnTheSameConnectionGoesOn(t *testing.T) {
	t.Parallel()
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	all := maps.Clone(handlers)
	all["is deaf and silent"] = func(rw http.ResponseWriter, _ *http.Request) {
		_ = say(rw, 0)
		<-silent
	}
	for name, handler := range all {
		t.Run("handler "+name, func(t *testing.T) {
			t.Parallel()
			s := newStreamWorld(t, "HTTP/2", func(rw http.ResponseWriter, r *http.Request) {
				if r.FormValue("user") == "ben" {
					handlers["obeys"](rw, r)
				} else {
					handler(rw, r)
				}
			}, nil, nil)
			ann, ben := s.open(t, "ann"), s.open(t, "ben")
			if ann.conn != ben.conn {
				t.Fatal("the streams have two connections")
			}
			s.logout(ann.cookie)
			text, err := ann.rest()
			if last := wholeEvents(text); last != farewell || (err != nil) != (name == "is deaf and silent") {
				t.Errorf("ann: %q, %v", last, err)
			}
			for range 20 {
				ben.readEvent(t)
			}
			s.logout(ben.cookie)
			text, err = ben.rest()
			if last := wholeEvents(text); last != farewell || err != nil {
				t.Errorf("ben: %q, %v", last, err)
			}
			s.settled("ben")
		})
	}
}

// opened is a stream of a user.
type opened struct {
	cookie string
	conn   net.Conn
	text   strings.Builder // read so far
	body   *bufio.Reader
}

// open signs a user in, and returns the stream after its first event.
func (s *streamWorld) open(t *testing.T, user string) *opened {
	t.Helper()
	s.t = t
	o := &opened{cookie: s.login(user)}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { o.conn = i.Conn }})
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/stream?user="+user, nil)
	r.Header = http.Header{"Cookie": {o.cookie}, "Accept": {"text/event-stream"}}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	o.body = bufio.NewReader(resp.Body)
	o.readEvent(t)
	return o
}

func (o *opened) readEvent(t *testing.T) {
	t.Helper()
	for line := ""; line != "\n"; {
		var err error
		if line, err = o.body.ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		o.text.WriteString(line)
	}
}

// rest reads to the end, and returns the text from the beginning.
func (o *opened) rest() (string, error) {
	b, err := io.ReadAll(o.body)
	o.text.Write(b)
	return o.text.String(), err
}
