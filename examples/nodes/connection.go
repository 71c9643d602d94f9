package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// connection is an open socket or stream.
type connection struct {
	node string      // that answered, by its own name
	end  chan ending // gets one
}

type ending struct {
	how string // code and reason, or the error without a close frame
	at  time.Time
}

// isOpen reports whether the connection has not ended.
func (c *connection) isOpen() bool { return len(c.end) == 0 }

// open opens a socket.
func (u *user) open(ctx context.Context, on string) (*connection, error) {
	c, _, err := u.dial(ctx, on, "/ws")
	return c, err
}

// dial opens a socket with the user's credential or, if there are subprotocols, with the ticket in
// them. The answer of a refusal has its status and Retry-After; without any answer it is zero.
func (u *user) dial(ctx context.Context, on, path string, subprotocols ...string) (*connection, answer, error) {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := u.headers(on)
	if len(subprotocols) > 0 {
		h.Del(u.header)
	}
	socket, res, err := websocket.Dial(opening, "wss"+strings.TrimPrefix(u.origin, "https")+path,
		&websocket.DialOptions{HTTPClient: u.client, HTTPHeader: h, Subprotocols: subprotocols})
	if err != nil {
		if res == nil {
			return nil, answer{}, err
		}
		return nil, answer{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After")},
			fmt.Errorf("the handshake on %s: %s", on, res.Status)
	}
	_, name, err := socket.Read(opening)
	if err != nil {
		return nil, answer{}, err
	}
	c := &connection{node: string(name), end: make(chan ending, 1)}
	go func() {
		_, _, err := socket.Read(ctx)
		_ = socket.CloseNow()
		how := fmt.Sprint(err)
		if closed, ok := errors.AsType[websocket.CloseError](err); ok {
			how = fmt.Sprint(int(closed.Code), " ", closed.Reason)
		}
		c.end <- ending{how, time.Now()}
	}()
	return c, answer{status: http.StatusSwitchingProtocols}, nil
}

// follow opens an event stream.
func (u *user) follow(ctx context.Context, on string) (*connection, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.origin+"/stream", nil)
	if err != nil {
		return nil, err
	}
	r.Header = u.headers(on)
	r.Header.Set("Accept", "text/event-stream")
	res, err := u.client.Do(r)
	if err != nil {
		return nil, err
	}
	body := bufio.NewReader(res.Body)
	first, err := body.ReadString('\n')
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the stream on %s: %s %w", on, res.Status, err)
	}
	c := &connection{node: strings.TrimSpace(strings.TrimPrefix(first, "data: ")), end: make(chan ending, 1)}
	go func() {
		rest, _ := io.ReadAll(body)
		at := time.Now()
		_ = res.Body.Close()
		var last struct {
			Code   int
			Reason string
		}
		_, data, _ := strings.Cut(string(rest), "event: end\ndata: ")
		_ = json.Unmarshal([]byte(strings.TrimSpace(data)), &last)
		c.end <- ending{fmt.Sprint(last.Code, " ", last.Reason), at}
	}()
	return c, nil
}

// ends waits until the connections have ended, all of them in one of these ways, and returns when
// the last one did.
func ends(ctx context.Context, connections []*connection, how ...string) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, c := range connections {
		select {
		case e := <-c.end:
			if !slices.Contains(how, e.how) {
				return last, fmt.Errorf("a connection to %s ended with %q, want %q", c.node, e.how, how)
			}
			if e.at.After(last) {
				last = e.at
			}
		case <-ctx.Done():
			return last, fmt.Errorf("%d of %d connections did not end", len(connections)-i, len(connections))
		}
	}
	return last, nil
}

// stay fails if one of the connections has ended.
func stay(connections []*connection) error {
	for _, c := range connections {
		if !c.isOpen() {
			return fmt.Errorf("a connection to %s that should stay open ended with %q", c.node, (<-c.end).how)
		}
	}
	return nil
}

// on returns how many connections a node has.
func on(name string, connections []*connection) (n int) {
	for _, c := range connections {
		if c.node == name {
			n++
		}
	}
	return n
}

var errOneNode = errors.New("all connections are on one node")

// connect opens sockets and streams on nodes that the proxy chooses.
func (u *user) connect(ctx context.Context, sockets, streams int) (open []*connection, err error) {
	for i := range sockets + streams {
		dial := u.open
		if i >= sockets {
			dial = u.follow
		}
		c, err := dial(ctx, "")
		if err != nil {
			return open, err
		}
		open = append(open, c)
	}
	if on("A", open) == 0 || on("B", open) == 0 {
		return open, errOneNode
	}
	return open, nil
}
