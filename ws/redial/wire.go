package redial

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// wire is the connection below coder's frames. It records when the last byte arrived, which
// coder does not expose, and can be cut.
type wire struct {
	io.ReadWriteCloser          // the body of the 101
	raw                net.Conn // below TLS; nil if the transport does not expose it
	start              time.Time
	lastByte           atomic.Int64 // nanoseconds since start
	broken             atomic.Bool  // a read or write has failed: coder's error is the network's
	frames             frames       // of the server; used by the reader only
	masked             bool         // a frame was masked; used by the reader only
	keep               func() bool  // detaches the connection from the dial's context; false: it was cut
}

func (w *wire) now() int64 { return int64(time.Since(w.start)) }

func (w *wire) Read(p []byte) (int, error) {
	if w.masked {
		return 0, errMasked
	}
	n, err := w.ReadWriteCloser.Read(p)
	if n > 0 {
		w.lastByte.Store(w.now())
	}
	if err != nil {
		w.broken.Store(true)
	}
	if sound := w.frames.feed(p[:n]); sound < n {
		w.masked = true
		if sound == 0 {
			return 0, errMasked
		}
		return sound, nil
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

// cut closes TCP immediately: with TLS, a close_notify could block for 5 s on a peer that
// does not read.
func (w *wire) cut() {
	if w.raw != nil {
		_ = w.raw.Close()
		return
	}
	_ = w.Close()
}

// tap inserts a wire below the connection that a transport has upgraded. Until wire.keep is
// called, the wire is cut when the request's context ends, because coder continues to read
// from a 101 that it rejects.
type tap struct {
	below http.RoundTripper
	wire  *wire
}

var (
	errHandshake   = errors.New("redial: the 101 violates RFC 6455 §4.1")
	errNotWritable = errors.New("redial: HTTPClient: the Transport does not hand over the connection: its 101 has no writable body")
)

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.below.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return res, err
	}
	body, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		_ = res.Body.Close()
		if res.Header.Get("Upgrade") == "" || res.Header.Get("Connection") == "" {
			return nil, errHandshake // net/http does not treat it as a protocol switch either
		}
		return nil, Permanent(errNotWritable)
	}
	t.wire.ReadWriteCloser = body
	t.wire.start = time.Now()
	t.wire.keep = context.AfterFunc(r.Context(), t.wire.cut)
	res.Body = t.wire
	return res, nil
}

// rawConn returns the socket below TLS.
func rawConn(c net.Conn) net.Conn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}
