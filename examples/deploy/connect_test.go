package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// extended opens a socket on a connection of HTTP/2 (RFC 8441 §4), if the proxy offers that
// (§3). If it does not, browsers open sockets on connections of HTTP/1.1.
func (p *proxy) extended(t *testing.T, offered bool) {
	c, err := tls.Dial("tcp", p.tls, &tls.Config{RootCAs: p.roots, ServerName: "app.example", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	f := newFramer(t, c)
	if got := f.settings(t); got != offered {
		t.Fatalf("SETTINGS_ENABLE_CONNECT_PROTOCOL: %t, want %t", got, offered)
	}
	f.connect(t)
	status := f.status(t)
	if !offered {
		if status == "200" {
			t.Error("the proxy opens a socket that it did not offer")
		}
		return
	}
	if status != "200" {
		t.Fatalf("status %q, want 200", status)
	}
	// The heartbeats of the service keep it open for longer than the time-outs of the proxy.
	var pings int
	for pings = 0; pings < 8; pings++ {
		op, payload := f.message(t)
		if op != 0x89 {
			t.Fatalf("a frame that begins with %x, want a ping (RFC 6455 §5.5.2)", op)
		}
		f.send(t, 0x8a, payload)
	}
	f.send(t, 0x81, []byte("hello"))
	for {
		op, payload := f.message(t)
		switch {
		case op == 0x89:
			f.send(t, 0x8a, payload)
			continue
		case op != 0x81 || string(payload) != "hello":
			t.Errorf("after %d pings: %x %q, want the echo", pings, op, payload)
		}
		return
	}
}

// framer is the client's end of a connection of HTTP/2.
type framer struct {
	*http2.Framer
	got []byte // bytes of the stream that are not read yet
}

func newFramer(t *testing.T, c net.Conn) *framer {
	t.Helper()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := &framer{Framer: http2.NewFramer(c, c)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

// settings reports whether the server's first frame offers extended CONNECT.
func (f *framer) settings(t *testing.T) bool {
	t.Helper()
	frame, err := f.ReadFrame()
	s, ok := frame.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatalf("the first frame is %v, %v, want SETTINGS (RFC 9113 §3.4)", frame, err)
	}
	offered, _ := s.Value(http2.SettingID(8)) // SETTINGS_ENABLE_CONNECT_PROTOCOL
	if err := f.WriteSettingsAck(); err != nil {
		t.Fatal(err)
	}
	return offered == 1
}

// connect sends the handshake of a page.
func (f *framer) connect(t *testing.T) {
	t.Helper()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "CONNECT"},
		{":protocol", "websocket"},
		{":scheme", "https"},
		{":path", "/ws"},
		{":authority", "app.example"},
		{"sec-websocket-version", "13"},
		{"origin", "https://app.example"},
		{"sec-fetch-site", "same-origin"},
	} {
		_ = e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
}

// status returns the :status of the answer, or "" if the stream or the connection ends without.
func (f *framer) status(t *testing.T) string {
	t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return ""
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

// send sends a short frame of a WebSocket, masked by zeros (RFC 6455 §5.3).
func (f *framer) send(t *testing.T, op byte, payload []byte) {
	t.Helper()
	frame := append([]byte{op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	if err := f.WriteData(1, false, frame); err != nil {
		t.Fatal(err)
	}
}

// message returns the next frame of the WebSocket: its first byte and its payload, which is
// shorter than 126 bytes.
func (f *framer) message(t *testing.T) (op byte, payload []byte) {
	t.Helper()
	for len(f.got) < 2 || len(f.got) < 2+int(f.got[1]) {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			f.got = append(f.got, frame.Data()...)
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("the stream ended: %v", frame)
		}
	}
	end := 2 + int(f.got[1])
	op, payload = f.got[0], f.got[2:end]
	f.got = f.got[end:]
	return op, payload
}
