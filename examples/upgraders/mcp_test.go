package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/session"
)

// The streams of an MCP server, of the unchanged Go SDK, end within 20 ms of the logout: the
// hanging GET, and the POST of a tool that works. The client learns of it at once, tries to
// come back once, and is refused.
func TestMCPEndsWithTheSession(t *testing.T) {
	stateless := &mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}
	for _, test := range []struct {
		name    string
		options *mcp.StreamableHTTPOptions
		silent  bool
		call    []string // the errors of the call
		stopped error    // of the context of the tool; nil: the tool works on
		gets    []int    // the answers to GET
	}{
		{name: "with sessions of its own", call: noAnswer, gets: []int{200, 401}},
		{name: "with sessions of its own, before the first event", silent: true, call: noHeader, gets: []int{200, 401}},
		{name: "without", options: stateless, call: noAnswer, stopped: context.Canceled},
		{
			name: "without, before the first event", options: stateless,
			silent: true, call: append(noHeader, "the tool reports context canceled"), stopped: context.Canceled,
		},
	} {
		for _, kind := range []string{"TLS", "HTTP/2"} {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				x := newTool(t, test.silent)
				watch := &stopwatch{}
				w := newWorld(t, kind, session.Config{}, live.Config{},
					func(s *site) { s.bind("/mcp", x.handler(test.options)); watch.mount(s) })
				var took []time.Duration
				var c *client
				for range rounds {
					cookie := w.login("ann")
					c = call(t, x, w.URL+"/mcp", w.Client().Transport, http.Header{"Cookie": {cookie}, "Origin": {w.URL}})
					w.logout(cookie)
					took = append(took, watch.until(c.lastEnd(t)))
					if err := received(t, "the call", c.called); !saysOneOf(err, test.call) {
						t.Errorf("the call returned %v, want one of %q", err, test.call)
					}
					if test.stopped != nil {
						if err := received(t, "the tool", x.returned); !errors.Is(err, test.stopped) {
							t.Errorf("the context of the tool ended with %v", err)
						}
					}
				}
				wantWithin20ms(t, took)
				w.settled("ann")
				c.wantRefused(t, test.gets)
				if n := len(x.returned); n != 0 {
					t.Errorf("%d tools have returned", n)
				}
			})
		}
	}
}

// The errors of a call whose response ends after a part of its events, and before its
// header, on HTTP/1.1 or HTTP/2.
var (
	noAnswer = []string{"request terminated without response"}
	noHeader = []string{"EOF", "INTERNAL_ERROR"}
)

func saysOneOf(err error, texts []string) bool {
	return err != nil && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// lastEnd returns when the streams of the client have ended.
func (c *client) lastEnd(t *testing.T) time.Time {
	t.Helper()
	last := received(t, "the end of POST", c.post.ended)
	if c.get != nil {
		if end := received(t, "the end of GET", c.get.ended); end.After(last) {
			return end
		}
	}
	return last
}

// wantRefused wants that the client ends by itself after one more GET, if it has sent one,
// and that a further request is refused.
func (c *client) wantRefused(t *testing.T, gets []int) {
	t.Helper()
	if gets != nil {
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		if err := received(t, "the end of the client", ended); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
			t.Errorf("the client ended with %v", err)
		}
	}
	if _, err := c.ListTools(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
		t.Errorf("a further request: %v", err)
	}
	if got := c.answered(http.MethodGet); !slices.Equal(got, gets) {
		t.Errorf("the answers to GET are %v, want %v", got, gets)
	}
}
