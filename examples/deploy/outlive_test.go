package main

import (
	"bufio"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// outlive waits until the proxy has cut connections without a sign of life, and then uses
// those that were opened before. idle tells whether the proxy cuts them; if not, connections
// without a sign of life outlive all its time-outs as well.
func (p *proxy) outlive(t *testing.T, idle bool) {
	sockets := map[string]*websocket.Conn{"a socket": p.mustOpen(t, "/ws")}
	read := map[string]<-chan message{"a socket": reading(sockets["a socket"])}
	streams := map[string]*bufio.Reader{}
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		res := p.send(t, p.client(t, "127.0.0.2", http2), "GET", "https://app.example/events", browser())
		streams[proto] = bufio.NewReader(res.Body)
	}
	if idle {
		p.cuts(t)
	} else {
		sockets["a quiet socket"] = p.mustOpen(t, "/quiet/ws")
		read["a quiet socket"] = reading(sockets["a quiet socket"])
		for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			p.waits(t, proto, http2)
		}
	}
	for proto, stream := range streams {
		for n := range 8 { // beats, the last ones after the quiet stream's end
			if line, err := stream.ReadString('\n'); err != nil || line != ":\n" {
				t.Fatalf("%s: beat %d: %q, %v", proto, n, line, err)
			}
			_, _ = stream.ReadString('\n')
		}
		for stream.Buffered() > 0 {
			_, _ = stream.ReadByte()
		}
		if _, err := stream.ReadString('\n'); err != nil {
			t.Errorf("%s: the stream ended: %v", proto, err)
		}
	}
	for name, c := range sockets {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
			t.Fatalf("%s ended: %v", name, err)
		}
		if m := <-read[name]; m.err != nil || string(m.p) != "still here" {
			t.Errorf("%s: %q, %v", name, m.p, m.err)
		}
	}
}

func (p *proxy) mustOpen(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	c, err := p.socket(t, path, browser())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cuts shows that the proxy ends a stream and a socket without a sign of life.
func (p *proxy) cuts(t *testing.T) {
	t.Helper()
	quiet := p.mustOpen(t, "/quiet/ws")
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		stream := p.send(t, p.client(t, "127.0.0.2", http2), "GET", "https://app.example/quiet/events", browser())
		_, err := io.ReadAll(stream.Body)
		if t.Context().Err() != nil {
			t.Fatalf("%s: the proxy does not cut a quiet stream: %v", proto, err)
		}
	}
	if m := <-reading(quiet); websocket.CloseStatus(m.err) != -1 {
		t.Fatalf("a quiet socket: %v, want the cut of the proxy", m.err)
	}
}

// waits shows that a stream without a sign of life for longer than the time-outs of the proxy
// goes on. Its beats are further apart than those.
func (p *proxy) waits(t *testing.T, proto string, http2 bool) {
	t.Helper()
	res := p.send(t, p.client(t, "127.0.0.2", http2), "GET", "https://app.example/slow/events", browser())
	stream := bufio.NewReader(res.Body)
	began := time.Now()
	for n := range 2 {
		if line, err := stream.ReadString('\n'); err != nil || line != ":\n" {
			t.Fatalf("%s: a slow stream: beat %d after %v: %q, %v", proto, n, time.Since(began), line, err)
		}
		_, _ = stream.ReadString('\n')
	}
}
