package main

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// browser has the fields that a page of the service adds to a request (Fetch Metadata §2).
func browser() http.Header {
	return http.Header{
		"Origin": {"https://app.example"}, "Sec-Fetch-Site": {"same-origin"},
		"Sec-Fetch-Mode": {"websocket"}, "Sec-Fetch-Dest": {"websocket"},
	}
}

// forged has the fields by which a client describes itself as a proxy would.
func forged() http.Header {
	return http.Header{
		"X-Forwarded-For":   {"127.0.0.1", "203.0.113.66, 127.0.0.1"},
		"X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host":  {"app.example"},
		"X-Forwarded-Ssl":   {"on"},
		"X-Real-Ip":         {"203.0.113.66"},
		"Forwarded":         {"for=203.0.113.66;proto=https;host=app.example"},
	}
}

// through sends requests of honest clients and of forgers through the proxy.
func (p *proxy) through(t *testing.T, f front) {
	t.Helper()
	t.Run("clients get in", p.getIn)
	t.Run("a forger gains nothing", p.gainNothing)
	t.Run("the limit counts the client", p.counted)
	t.Run("sockets and streams outlive the time-out", func(t *testing.T) { p.outlive(t, f.idle) })
	t.Run("sockets over HTTP/2", func(t *testing.T) { p.extended(t, f.connect) })
}

func (p *proxy) getIn(t *testing.T) {
	for _, row := range []struct {
		sentence string
		header   http.Header
	}{
		{"a browser", browser()},
		{"a native client", nil},
		{"a client whose forged fields would harm it", http.Header{
			"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"evil.example"}, "Forwarded": {"proto=http;host=evil.example"},
		}},
	} {
		c, err := p.socket(t, "/ws", row.header)
		if err != nil {
			t.Errorf("%s: %v", row.sentence, err)
			continue
		}
		echoes(t, c)
		for _, http2 := range []bool{false, true} {
			res := p.send(t, p.client(t, "127.0.0.2", http2), "GET", "https://app.example/events", row.header)
			if got := res.ProtoMajor == 2; res.StatusCode != http.StatusOK || got != http2 {
				t.Errorf("%s: an event stream: %s %s, want 200 on HTTP/2: %t", row.sentence, res.Proto, res.Status, http2)
			}
		}
	}
	foreign := browser()
	foreign.Set("Origin", "https://evil.example")
	foreign.Set("Sec-Fetch-Site", "cross-site")
	if c, err := p.socket(t, "/ws", foreign); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a foreign page: %v %v, want 403", c, err)
	}
}

func (p *proxy) gainNothing(t *testing.T) {
	with := func(more http.Header) http.Header {
		h := forged()
		maps.Copy(h, more)
		return h
	}
	client := p.client(t, "127.0.0.2", false)
	for _, row := range []struct {
		sentence string
		url      string
		header   http.Header
		status   int
	}{
		{"without TLS", "http://app.example/a", forged(), 403},
		{
			"without TLS, and its fields are those of the hop (RFC 9110 §7.6.1)",
			"http://app.example/b", with(http.Header{"Connection": {"X-Forwarded-Proto, X-Forwarded-For"}}), 403,
		},
		{"over TLS", "https://app.example/c", forged(), 404},
		{
			"over TLS, and its fields are those of the hop (RFC 9110 §7.6.1)",
			"https://app.example/d", with(http.Header{"Connection": {"X-Forwarded-Proto, X-Forwarded-For"}}), 404,
		},
		{
			"over TLS, and only its address is of the hop", "https://app.example/e",
			with(http.Header{"Connection": {"X-Forwarded-For"}}), 404,
		},
	} {
		path := row.url[len(row.url)-2:]
		if got := p.send(t, client, "GET", row.url, row.header).StatusCode; got != row.status {
			t.Errorf("%s: %d, want %d", row.sentence, got, row.status)
		}
		if got := p.logged(t, path).Client; got != "127.0.0.2" {
			t.Errorf("%s: the log says %s, want 127.0.0.2", row.sentence, got)
		}
	}
	for _, host := range []string{"evil.example", "127.0.0.1:8080"} {
		req := request(t, "POST", "https://app.example/limited", forged())
		req.Host = host
		if got := answer(t, client, req).StatusCode; got == http.StatusNoContent {
			t.Errorf("Host %s: the service served it", host)
		}
	}
}

// counted shows that a client with a new X-Forwarded-For for each request is one client.
func (p *proxy) counted(t *testing.T) {
	for n, http2 := range []bool{false, true, false, true, false, true, false} {
		h := forged()
		h["X-Forwarded-For"] = []string{"203.0.113." + string(rune('1'+n))}
		want := http.StatusNoContent
		if n >= 5 {
			want = http.StatusTooManyRequests
		}
		if got := p.send(t, p.client(t, "127.0.0.3", http2), "POST", "https://app.example/limited", h).StatusCode; got != want {
			t.Errorf("request %d: %d, want %d", n+1, got, want)
		}
	}
	if got := p.send(t, p.client(t, "127.0.0.4", false), "POST", "https://app.example/limited", nil).StatusCode; got !=
		http.StatusNoContent {
		t.Errorf("another client: %d, want 204", got)
	}
}

// message is one that was read, or the error in place of it.
type message struct {
	p   []byte
	err error
}

// reading reads one message, and answers pings meanwhile.
func reading(c *websocket.Conn) <-chan message {
	read := make(chan message, 1)
	go func() {
		_, p, err := c.Read(context.Background())
		read <- message{p, err}
	}()
	return read
}

func (p *proxy) socket(t *testing.T, path string, h http.Header) (*websocket.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "wss://app.example"+path,
		&websocket.DialOptions{HTTPClient: p.client(t, "127.0.0.2", false), HTTPHeader: h})
	if res != nil && res.Body != nil {
		_ = res.Body.Close()
	}
	if err == nil {
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, err
}

func echoes(t *testing.T, c *websocket.Conn) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(t.Context()); err != nil || string(p) != "hello" {
		t.Errorf("%q, %v", p, err)
	}
}

func (p *proxy) send(t *testing.T, c *http.Client, method, url string, h http.Header) *http.Response {
	t.Helper()
	return answer(t, c, request(t, method, url, h))
}

func request(t *testing.T, method, url string, h http.Header) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, h)
	return req
}

func answer(t *testing.T, c *http.Client, req *http.Request) *http.Response {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}
