package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const subprotocol = "story"

// person is a client with a credential: a cookie, or a token.
type person struct {
	*stage
	name          string
	header, value string
}

// signIn signs a user in on a node, or through whichever node the front chooses if that is "".
func (st *stage) signIn(ctx context.Context, on, name string) (*person, string, error) {
	p := &person{stage: st, name: name}
	res, err := p.send(ctx, on, http.MethodPost, "/login?user="+url.QueryEscape(name))
	if err != nil {
		return nil, "", err
	}
	if res.status != http.StatusOK || len(res.cookies) != 1 {
		return nil, "", fmt.Errorf("%s cannot sign in: %s", name, res)
	}
	p.header, p.value = "Cookie", res.cookies[0].Name+"="+res.cookies[0].Value
	return p, res.node, nil
}

// withToken returns a user with a token of the identity provider.
func (st *stage) withToken(name string) (*person, error) {
	token, err := st.tokens.token(name)
	return &person{stage: st, name: name, header: "Authorization", value: "Bearer " + token}, err
}

// answer is a response to a request.
type answer struct {
	status     int
	reason     string // the word of a refusal
	node       string // that gave it
	retryAfter string
	cookies    []*http.Cookie
	body       []byte
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.reason)) }

// send sends a request with the person's credential to a node, or to any if on is "".
func (p *person) send(ctx context.Context, on, method, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.origin+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header = p.headers(on)
	res, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	var refusal struct{ Reason string }
	_ = json.Unmarshal(body, &refusal)
	return answer{res.StatusCode, refusal.Reason, res.Header.Get(nodeHeader), res.Header.Get("Retry-After"), res.Cookies(), body}, err
}

func (p *person) headers(on string) http.Header {
	h := http.Header{"Origin": {p.origin}}
	if on != "" {
		h.Set(nodeHeader, on)
	}
	if p.header != "" {
		h.Set(p.header, p.value)
	}
	return h
}

// do posts, and returns how long the acknowledgement took.
func (p *person) do(ctx context.Context, on, path string) (time.Duration, error) {
	began := time.Now()
	res, err := p.send(ctx, on, http.MethodPost, path)
	if err == nil && res.status != http.StatusOK {
		err = fmt.Errorf("POST %s on %s: %s", path, on, res)
	}
	return time.Since(began), err
}

// expect returns an error if a request to /me has none of the wanted answers.
func (p *person) expect(ctx context.Context, on string, want ...string) error {
	res, err := p.send(ctx, on, http.MethodGet, "/me")
	if err != nil {
		return err
	}
	if slices.Contains(want, res.String()) {
		return nil
	}
	return fmt.Errorf("a request of %s on %s: %s, want %s", p.name, on, res, strings.Join(want, " or "))
}

// connection is an open socket or stream.
type connection struct {
	node string      // that answered, by its own name
	end  chan ending // gets one
}

type ending struct {
	how string // code and reason, or the error without a close frame
	at  time.Time
}

// open opens a socket.
func (p *person) open(ctx context.Context, on string) (*connection, error) {
	c, _, err := p.dial(ctx, on, "/ws")
	return c, err
}

// dial opens a socket with the person's credential or, if there are subprotocols, with the ticket in
// them. The answer of a refusal has its status and Retry-After; without any answer it is zero.
func (p *person) dial(ctx context.Context, on, path string, subprotocols ...string) (*connection, answer, error) {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := p.headers(on)
	if len(subprotocols) > 0 {
		h.Del(p.header)
	}
	socket, res, err := websocket.Dial(opening, "wss"+strings.TrimPrefix(p.origin, "https")+path,
		&websocket.DialOptions{HTTPClient: p.client, HTTPHeader: h, Subprotocols: subprotocols})
	if err != nil {
		if res == nil {
			return nil, answer{}, err
		}
		return nil, answer{status: res.StatusCode, retryAfter: res.Header.Get("Retry-After")}, fmt.Errorf("the handshake on %s: %s", on, res.Status)
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
func (p *person) follow(ctx context.Context, on string) (*connection, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.origin+"/stream", nil)
	if err != nil {
		return nil, err
	}
	r.Header = p.headers(on)
	r.Header.Set("Accept", "text/event-stream")
	res, err := p.client.Do(r)
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

// isOpen reports whether the connection has not ended.
func (c *connection) isOpen() bool { return len(c.end) == 0 }
