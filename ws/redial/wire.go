package redial

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// wire is the connection below coder's frames: it remembers when the last byte came,
// which coder does not show, and can be cut.
type wire struct {
	io.ReadWriteCloser          // the body of the 101
	raw                net.Conn // below TLS; nil where the transport does not tell
	start              time.Time
	lastByte           atomic.Int64 // nanoseconds since start
	broken             atomic.Bool  // a read or write has failed: coder's error is the network's
}

func (w *wire) now() int64 { return int64(time.Since(w.start)) }

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Read(p)
	if n > 0 {
		w.lastByte.Store(w.now())
	}
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Write(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// cut closes TCP without another word: on TLS a close_notify could wait for 5 s for a
// peer that does not read.
func (w *wire) cut() {
	if w.raw != nil {
		_ = w.raw.Close()
		return
	}
	_ = w.Close()
}

// tap puts a wire below what a transport has upgraded.
type tap struct {
	below http.RoundTripper
	wire  *wire
}

var errNotWritable = errors.New("redial: the HTTPClient's Transport does not give the connection away: its 101 has no writable body")

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.below.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return res, err
	}
	body, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		_ = res.Body.Close()
		return nil, Permanent(errNotWritable)
	}
	t.wire.ReadWriteCloser = body
	t.wire.start = time.Now()
	res.Body = t.wire
	return res, nil
}

// rawConn is the socket below TLS.
func rawConn(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}
