package middleware_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// lockedBuffer takes the lines of a server's goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	on chan struct{}
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.on <- struct{}{} }()
	return l.b.Write(p)
}

// An upgrade passes through: the 101, the connection, and one line that says 101.
func TestAccessLogLetsHijackPass(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{on: make(chan struct{}, 8)}
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			t.Error("no http.Hijacker")
			return
		}
		c, brw, err := hijacker.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = brw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello\n")
		_ = brw.Flush()
	})
	srv := httptest.NewServer(middleware.AccessLog(slog.New(slog.NewJSONHandler(log, nil)))(upgrade))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	if line, _ := br.ReadString('\n'); line != "hello\n" {
		t.Errorf("%q", line)
	}
	<-log.on
	lines := decodeLines(t, log.b.String())
	if len(lines) != 1 || lines[0]["status"] != 101.0 {
		t.Errorf("%v", lines)
	}
}

// http.ResponseController reaches the server's writer, and hears its errors.
func TestAccessLogLetsResponseControllerPass(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(middleware.AccessLog(slog.New(slog.DiscardHandler))(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			for what, err := range map[string]error{
				"read deadline":  rc.SetReadDeadline(time.Now().Add(time.Hour)),
				"write deadline": rc.SetWriteDeadline(time.Now().Add(time.Hour)),
				"full duplex":    rc.EnableFullDuplex(), "flush": rc.Flush(),
			} {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, ok := w.(http.Flusher); !ok {
				t.Error("no http.Flusher")
			}
		})))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// bareWriter can neither flush nor be taken over.
type bareWriter struct{ http.ResponseWriter }

func TestAccessLogAnswersForAWriterThatCannot(t *testing.T) {
	t.Parallel()
	h := middleware.AccessLog(slog.New(slog.DiscardHandler))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("flush: %v", err)
		}
		if _, _, err := rc.Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("hijack: %v", err)
		}
	}))
	h.ServeHTTP(bareWriter{httptest.NewRecorder()}, requestWith("GET", "/"))
}

// The status is the final one: 103 is followed by another, the first of two counts,
// and a body without a status is 200.
func TestAccessLogStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		status float64
		bytes  float64
	}{
		{"no answer at all", func(http.ResponseWriter) {}, 200, 0},
		{"a body without a status", func(w http.ResponseWriter) { fmt.Fprint(w, "abc") }, 200, 3},
		{"an interim answer", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(204) }, 204, 0},
		{"a second status", func(w http.ResponseWriter) { w.WriteHeader(404); w.WriteHeader(200) }, 404, 0},
		{"a switch", func(w http.ResponseWriter) { w.WriteHeader(101) }, 101, 0},
		{"a long body", func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat("x", 1<<16)) }, 200, 1 << 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := logged(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }), requestWith("GET", "/"))
			if len(lines) != 1 || lines[0]["status"] != tt.status || lines[0]["bytes"] != tt.bytes {
				t.Errorf("%v", lines)
			}
		})
	}
}
