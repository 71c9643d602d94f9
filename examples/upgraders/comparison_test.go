package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var megabyte = strings.Repeat("x", 1<<20)

// contenders are the columns of the table. The other libraries stand behind scs and jwtauth, and
// all of them have the settings of their documentation.
var contenders = []struct {
	name  string
	serve func(*testing.T) *contender
}{
	{"coder 1.8.15", withCoder},
	{"gorilla 1.5.3", withGorilla},
	{"gws 1.8.9", withGws},
	{"centrifuge 0.40.1", withCentrifuge},
	{"securews", withSecurews},
}

// comparisons are its rows, each with the request or event that is tried on a service of its own.
var comparisons = []struct {
	name string
	try  func(*testing.T, *contender) string
}{
	{"a page of another site", func(t *testing.T, s *contender) string {
		return opens(s.dial(t, "/ws", s.page(t, "https://evil.example"), ""))
	}},
	{"a page over `http://` of the same host", func(t *testing.T, s *contender) string {
		return opens(s.dial(t, "/ws", s.page(t, "http://"+s.server.Listener.Addr().String()), ""))
	}},
	{"a rebound name: Origin and Host agree", func(t *testing.T, s *contender) string {
		return opens(s.dial(t, "/ws", s.page(t, "https://evil.example"), "evil.example"))
	}},
	{"a cookie without an Origin", func(t *testing.T, s *contender) string {
		return opens(s.dial(t, "/ws", s.page(t, ""), ""))
	}},
	{"an access token without `exp`", func(t *testing.T, s *contender) string {
		return opens(s.dial(t, "/token", http.Header{"Authorization": {"Bearer " + s.token}, "Origin": {s.server.URL}}, ""))
	}},
	{"the open socket after logout", func(t *testing.T, s *contender) string {
		page := s.page(t, s.server.URL)
		c := s.open(t, page)
		s.post(t, "/logout", page)
		return s.after(t, c, s.ask)
	}},
	{"the cookie after logout, when the socket has closed", func(t *testing.T, s *contender) string {
		page := s.page(t, s.server.URL)
		c := s.open(t, page)
		if s.early {
			<-s.returned
		}
		s.post(t, "/logout", page)
		_ = c.CloseNow()
		if !s.early {
			<-s.returned
		}
		if status := s.do(t, http.MethodGet, "/me", page).StatusCode; status != http.StatusOK {
			return fmt.Sprint(status)
		}
		return "signed in again"
	}},
	{"a message of 1 MiB", func(t *testing.T, s *contender) string {
		return s.after(t, s.open(t, s.page(t, s.server.URL)), s.large)
	}},
	{"the open socket after the shutdown", func(t *testing.T, s *contender) string {
		c := s.open(t, s.page(t, s.server.URL))
		read := make(chan error, 1)
		go func() { // as a page does
			_, _, err := c.Read(t.Context())
			read <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.stop(ctx); err != nil {
			t.Error(err)
		}
		_ = c.Write(t.Context(), websocket.MessageText, []byte(s.ask))
		return howEnded(t, <-read)
	}},
}

// The table of the README is measured. To print it:
//
//	go test -v -run TestComparison ./examples/upgraders
func TestComparison(t *testing.T) {
	header, rule := "| tried |", "|---|"
	for _, c := range contenders {
		header, rule = header+" "+c.name+" |", rule+"---|"
	}
	table := header + "\n" + rule + "\n"
	for _, row := range comparisons {
		table += "| " + row.name + " |"
		for _, c := range contenders {
			t.Run(row.name+"/"+c.name, func(t *testing.T) { table += " " + row.try(t, c.serve(t)) + " |" })
		}
		table += "\n"
	}
	t.Log("\n" + table)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n"+table+"\n") {
		t.Errorf("the README has another table than\n%s", table)
	}
}

func opens(status int) string {
	if status == http.StatusSwitchingProtocols {
		return "opens"
	}
	return fmt.Sprint(status)
}

// page signs alice in, and returns the header of a page's requests.
func (s *contender) page(t *testing.T, origin string) http.Header {
	t.Helper()
	resp := s.post(t, "/login", http.Header{"Origin": {s.server.URL}})
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	for _, c := range resp.Cookies() {
		h.Set("Cookie", c.Name+"="+c.Value)
	}
	return h
}

func (s *contender) do(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	resp, err := s.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func (s *contender) post(t *testing.T, path string, header http.Header) *http.Response {
	t.Helper()
	resp := s.do(t, http.MethodPost, path, header)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	return resp
}

// dial returns the status of a handshake.
func (s *contender) dial(t *testing.T, path string, header http.Header, host string) int {
	t.Helper()
	options := &websocket.DialOptions{HTTPClient: s.server.Client(), HTTPHeader: header, Host: host}
	c, resp, err := websocket.Dial(t.Context(), s.server.URL+path, options)
	if err == nil {
		_ = c.CloseNow()
	}
	if resp == nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func (s *contender) open(t *testing.T, header http.Header) *websocket.Conn {
	t.Helper()
	options := &websocket.DialOptions{HTTPClient: s.server.Client(), HTTPHeader: header}
	c, _, err := websocket.Dial(t.Context(), s.server.URL+"/ws", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	for _, message := range []string{s.hello, s.ask} {
		if message == "" {
			continue
		}
		if got := s.after(t, c, message); got != "goes on" {
			t.Fatalf("%q: %s", message, got)
		}
	}
	return c
}

// after returns whether the socket answers a message, or with which code it has ended.
func (s *contender) after(t *testing.T, c *websocket.Conn, message string) string {
	t.Helper()
	err := c.Write(t.Context(), websocket.MessageText, []byte(message))
	if _, _, e := c.Read(t.Context()); e != nil || err == nil {
		err = e
	}
	return howEnded(t, err)
}

func howEnded(t *testing.T, err error) string {
	t.Helper()
	var e websocket.CloseError
	switch {
	case err == nil:
		return "goes on"
	case !errors.As(err, &e):
		t.Logf("%v", err)
		return "cut"
	case e.Code == websocket.StatusMessageTooBig:
		return "1009"
	}
	return fmt.Sprintf("%d `%s`", e.Code, e.Reason)
}
