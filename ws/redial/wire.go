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

// wire is the connection below coder's frames: it remembers when the last byte came,
// which coder does not show, and can be cut.
type wire struct {
	io.ReadWriteCloser          // the body of the 101
	raw                net.Conn // below TLS; nil where the transport does not tell
	start              time.Time
	lastByte           atomic.Int64 // nanoseconds since start
	broken             atomic.Bool  // a read or write has failed: coder's error is the network's
	frames             frames       // what the server sends; the reader's
	masked             bool         // one of them is: the reader's, too
	keep               func() bool  // takes the dial's hold on the connection off; false: it has been cut
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

// cut closes TCP without another word: on TLS a close_notify could wait for 5 s for a
// peer that does not read.
func (w *wire) cut() {
	if w.raw != nil {
		_ = w.raw.Close()
		return
	}
	_ = w.Close()
}

// tap puts a wire below what a transport has upgraded. Until wire.keep is called, the
// wire is cut with the request's context: coder reads on in a 101 that it refuses.
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
		if res.Header.Get("Upgrade") == "" || res.Header.Get("Connection") == "" {
			return nil, errHandshake // net/http does not take it for a switch either
		}
		return nil, Permanent(errNotWritable)
	}
	t.wire.ReadWriteCloser = body
	t.wire.start = time.Now()
	t.wire.keep = context.AfterFunc(r.Context(), t.wire.cut)
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
