package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// tool is an MCP server with one tool, "work", which reports progress until it is released
// or its context ends.
type tool struct {
	silent   bool // it reports none
	release  chan struct{}
	begun    chan struct{}
	returned chan error // what its context says
}

func newTool(t *testing.T, silent bool) *tool {
	x := &tool{silent, make(chan struct{}), make(chan struct{}, 9), make(chan error, 9)}
	t.Cleanup(func() { close(x.release) })
	return x
}

func (x *tool) handler(options *mcp.StreamableHTTPOptions) http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "tool", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "work"},
		func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			x.begun <- struct{}{}
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for i := 1; ; i++ {
				select {
				case <-ctx.Done():
					x.returned <- ctx.Err()
					return nil, nil, ctx.Err()
				case <-x.release:
					x.returned <- nil
					return &mcp.CallToolResult{}, nil, nil
				case <-tick.C:
				}
				if !x.silent {
					_ = r.Session.NotifyProgress(ctx,
						&mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)})
				}
			}
		})
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options)
}

// transport adds fields to the requests of an MCP client, and records its responses.
type transport struct {
	http.RoundTripper
	header http.Header

	mu   sync.Mutex
	sent map[string][]*exchange // by method, in order
}

// exchange is a request and its response.
type exchange struct {
	status int // 0: there is none
	ended  chan time.Time
}

func newTransport(inner http.RoundTripper, header http.Header) *transport {
	return &transport{RoundTripper: inner, header: header, sent: map[string][]*exchange{}}
}

func (x *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range x.header {
		r.Header[name] = values
	}
	e := &exchange{ended: make(chan time.Time, 1)}
	x.mu.Lock()
	x.sent[r.Method] = append(x.sent[r.Method], e)
	x.mu.Unlock()
	end := sync.OnceFunc(func() { e.ended <- time.Now() })
	resp, err := x.RoundTripper.RoundTrip(r)
	if err != nil {
		end()
		return nil, err
	}
	x.mu.Lock()
	e.status = resp.StatusCode
	x.mu.Unlock()
	resp.Body = &watched{resp.Body, end}
	return resp, nil
}

// answered returns the status codes of a method so far.
func (x *transport) answered(method string) (codes []int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.sent[method] {
		codes = append(codes, e.status)
	}
	return codes
}

// latest returns the last exchange of a method; nil if there is none.
func (x *transport) latest(method string) *exchange {
	x.mu.Lock()
	defer x.mu.Unlock()
	if all := x.sent[method]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// watched is the body of a response.
type watched struct {
	io.ReadCloser
	end func()
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// client is an MCP client with a call of the tool under way.
type client struct {
	*mcp.ClientSession
	*transport
	called    chan error
	get, post *exchange // the stream of the client's own, if there is one, and that of the call
}

// call connects to the tool and calls it, and returns when the tool works.
func call(t *testing.T, x *tool, url string, inner http.RoundTripper, header http.Header) *client {
	t.Helper()
	c := &client{transport: newTransport(inner, header), called: make(chan error, 1)}
	progress := make(chan struct{}, 1)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) {
			select {
			case progress <- struct{}{}:
			default:
			}
		},
	}).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: c.transport}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	c.ClientSession = session
	go func() {
		params := &mcp.CallToolParams{Name: "work"}
		params.SetProgressToken("token")
		result, err := session.CallTool(t.Context(), params)
		if err == nil && result.IsError {
			err = fmt.Errorf("the tool reports %s", result.Content[0].(*mcp.TextContent).Text)
		}
		c.called <- err
	}()
	received(t, "the tool", x.begun)
	if !x.silent {
		received(t, "progress", progress)
	}
	c.get, c.post = c.latest(http.MethodGet), c.latest(http.MethodPost)
	return c
}
