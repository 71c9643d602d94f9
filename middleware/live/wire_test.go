package live

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// Wire is one end of a WebSocket without a library. A message is one frame, and only pings are
// answered automatically. Send may be called while Receive waits.
type Wire struct {
	net.Conn
	r      io.Reader
	client bool // masks its frames (RFC 6455 §5.3)
	mu     sync.Mutex
}

// WireClosed is the error of Receive at a close frame.
type WireClosed struct {
	Code   uint16
	Reason string
}

func (e *WireClosed) Error() string { return fmt.Sprintf("close %d %s", e.Code, e.Reason) }

// The opcodes of RFC 6455 §5.2.
const (
	WireText   = 1
	WireBinary = 2
	WireClose  = 8
)

// UpgradeWire takes the connection from the server and writes the 101 to it, as most libraries
// do; coder/websocket writes it by WriteHeader.
func UpgradeWire(rw http.ResponseWriter, r *http.Request) (*Wire, error) {
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return nil, err
	}
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
	return &Wire{Conn: conn, r: buffered}, err
}

// DialWire opens a WebSocket at an http or https URL. Both results are nil at an error of the
// network; the Wire alone if the server refuses.
func DialWire(ctx context.Context, cfg *tls.Config, to string, header http.Header) (*Wire, *http.Response, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, nil, err
	}
	dial := new(net.Dialer).DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{Config: cfg}).DialContext
	}
	conn, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, nil, err
	}
	header = header.Clone()
	for name, value := range handshake("").Header {
		if name != "Session" {
			header[name] = value
		}
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}
	buffered := bufio.NewReader(conn)
	res, err := (*http.Response)(nil), r.Write(conn)
	if err == nil {
		res, err = http.ReadResponse(buffered, r)
	}
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.Close()
		return nil, res, err
	}
	return &Wire{Conn: conn, r: buffered, client: true}, res, nil
}

// Send sends a frame.
func (w *Wire) Send(opcode byte, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.Write(buildFrame(0x80|opcode, payload, w.client))
	return err
}

// SendClose sends a close frame.
func (w *Wire) SendClose(code uint16, reason string) error {
	return w.Send(WireClose, append([]byte{byte(code >> 8), byte(code)}, reason...))
}

// Receive returns the next message. At a close frame the error is a *WireClosed.
func (w *Wire) Receive() (opcode byte, payload []byte, err error) {
	for {
		f, err := parseFrame(w.r, !w.client)
		switch {
		case err != nil:
			return 0, nil, err
		case f.opcode == WireClose:
			code, reason, err := f.closing()
			if err == nil {
				err = &WireClosed{code, reason}
			}
			return 0, nil, err
		case f.opcode == 9:
			if err := w.Send(10, f.payload); err != nil {
				return 0, nil, err
			}
		case f.opcode < 8:
			return f.opcode, f.payload, nil
		}
	}
}
