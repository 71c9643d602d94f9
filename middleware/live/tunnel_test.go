package live

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A WebSocket over HTTP/2 (RFC 8441), and any other CONNECT, is a tunnel: at the end its
// stream is reset at once, with no event and no problem in it.
func TestTunnelIsResetAtTheEnd(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), "http2xconnect=1") { // net/http reads it at its start
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTunnelIsResetAtTheEnd$", "-test.v") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	frame := buildFrame(0x81, []byte("hello"), false)
	begin := func(rw http.ResponseWriter) {
		_, _ = rw.Write(frame)
		_ = http.NewResponseController(rw).Flush()
	}
	for _, test := range []struct {
		name    string
		handler func(rw http.ResponseWriter, r *http.Request)
		status  int // 0: none
		body    string
	}{
		{"it obeys its context", func(rw http.ResponseWriter, r *http.Request) { begin(rw); <-r.Context().Done() }, 200, string(frame)},
		{"it writes on", func(rw http.ResponseWriter, r *http.Request) {
			begin(rw)
			<-r.Context().Done()
			for err := error(nil); err == nil; _, err = rw.Write(make([]byte, 1<<16)) {
				time.Sleep(time.Millisecond)
			}
		}, 200, string(frame)},
		{"it reads", func(rw http.ResponseWriter, r *http.Request) { begin(rw); _, _ = io.Copy(io.Discard, r.Body) }, 200, string(frame)},
		{"it waits in a write", func(rw http.ResponseWriter, _ *http.Request) {
			begin(rw)
			for err := error(nil); err == nil; _, err = rw.Write(make([]byte, 1<<20)) {
			}
		}, 200, string(frame)},
		{"it says that it sends events", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			begin(rw)
			<-r.Context().Done()
		}, 200, string(frame)},
		{"it has sent a header alone", func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(http.StatusOK)
			<-r.Context().Done()
		}, 0, ""},
		{"it has sent nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, ""},
		{"it answers late", func(rw http.ResponseWriter, r *http.Request) { <-r.Context().Done(); begin(rw) }, 0, ""},
	} {
		for _, protocol := range []string{"", "websocket"} {
			t.Run(test.name+", "+protocol, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, Config{Timeouts: Timeouts{Grace: patience}})
				entered := make(chan struct{})
				s := serve(t, w.front(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					r.Context().Done()
					close(entered)
					test.handler(rw, r)
				})), "HTTP/2")
				res := connect(t, s, protocol, len(test.body), func() { received(t, "the entry", entered); w.signOut("session") })
				if res.status != test.status || !strings.HasPrefix(res.body, test.body) ||
					strings.Trim(res.body[len(test.body):], "\x00") != "" || !strings.Contains(res.err, "stream error") {
					t.Errorf("%d %.100q %s, want %d %q and a reset", res.status, res.body, res.err, test.status, test.body)
				}
				w.settled()
			})
		}
	}
}

type tunnelled struct {
	status    int
	body, err string
}

// connect opens a tunnel, and reads until it ends. The end begins when the first bytes have
// been read, or at once if there are none. A client of net/http refuses the pseudo-header
// :protocol.
func connect(t *testing.T, s *httptest.Server, protocol string, first int, end func()) (got tunnelled) {
	t.Helper()
	host := s.Listener.Addr().String()
	//nolint:gosec // the server of this test
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(t.Context(),
		"tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fields := http2.HeadersFrameParam{StreamID: 1, BlockFragment: connectFields(host, protocol), EndHeaders: true}
	if err := errors.Join(err, f.WriteSettings(), f.WriteHeaders(fields)); err != nil {
		t.Fatal(err)
	}
	if first == 0 {
		go end()
	}
	for got.err == "" {
		frame, err := f.ReadFrame()
		if err != nil {
			got.err = err.Error()
			break
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			got.status, _ = strconv.Atoi(frame.PseudoValue("status"))
		case *http2.DataFrame:
			began := len(got.body) >= first
			got.body += string(frame.Data())
			if !began && len(got.body) >= first {
				end()
			}
			if n := uint32(len(frame.Data())); n > 0 {
				_ = errors.Join(f.WriteWindowUpdate(0, n), f.WriteWindowUpdate(1, n))
			}
		case *http2.RSTStreamFrame:
			got.err = http2.StreamError{StreamID: 1, Code: frame.ErrCode}.Error()
		}
		if h := frame.Header(); h.StreamID == 1 && h.Flags.Has(http2.FlagDataEndStream) &&
			(h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			got.err = "END_STREAM"
		}
	}
	return got
}

// connectFields are the header fields of a CONNECT (RFC 9113 §8.5), or of an extended one
// (RFC 8441 §4).
func connectFields(host, protocol string) []byte {
	fields := []hpack.HeaderField{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: host}}
	if protocol != "" {
		fields = append(fields, hpack.HeaderField{Name: ":protocol", Value: protocol},
			hpack.HeaderField{Name: ":scheme", Value: "https"}, hpack.HeaderField{Name: ":path", Value: "/"})
	}
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range append(fields, hpack.HeaderField{Name: "session", Value: "session"}) {
		_ = e.WriteField(field) // a Buffer returns no error
	}
	return b.Bytes()
}
