package middleware_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

const handshakeText = "GET /ws HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

// refusing serves 403 on /ws, 426 on /version as RFC 6455 §4.2.2 has it, and counts the
// requests that reach /smuggled.
func refusing(smuggled *atomic.Int32) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		middleware.Refuse(w, r, &middleware.Refusal{Status: 403, Reason: middleware.ReasonOriginNotAllowed})
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, r *http.Request) {
		middleware.Refuse(w, r, &middleware.Refusal{
			Status: 426, Reason: middleware.ReasonWebSocketVersion,
			Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}},
		})
	})
	mux.HandleFunc("/smuggled", func(http.ResponseWriter, *http.Request) { smuggled.Add(1) })
	return mux
}

// A refused handshake ends its connection: bytes that follow it may be meant for a tunnel,
// and are not served as a request. Another refused request keeps it
// (RFC 9112 §9.3).
func TestRefusedHandshakeEndsItsConnection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request, status string
		connection            []string
		body                  string // behind the header
		served                int32
	}{
		{name: "a handshake", request: handshakeText, status: "403", connection: []string{"close"}, served: 0},
		{
			name: "a handshake with the wrong version (RFC 9110 §7.8)", request: strings.Replace(handshakeText, "/ws", "/version", 1),
			status: "426", connection: []string{"close", "Upgrade"}, served: 0,
		},
		{
			name: "a handshake with a body", request: handshakeText + "Content-Length: 5\r\n",
			status: "403", connection: []string{"close"}, body: "hello", served: 0,
		},
		{name: "another request", request: "GET /ws HTTP/1.1\r\nHost: app.example\r\n", status: "403", served: 1},
		{
			name: "another request, answered 426", request: "GET /version HTTP/1.1\r\nHost: app.example\r\n",
			status: "426", connection: []string{"Upgrade"}, served: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var smuggled atomic.Int32
			srv := httptest.NewServer(refusing(&smuggled))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(conn,
				tt.request+"\r\n"+tt.body+"GET /smuggled HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n")
			in := bufio.NewReader(conn)
			text := textproto.NewReader(in) // http.ReadResponse removes Connection
			line, _ := text.ReadLine()
			header, err := text.ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			if got := header["Connection"]; !strings.HasPrefix(line, "HTTP/1.1 "+tt.status) || !slices.Equal(got, tt.connection) {
				t.Errorf("%s, Connection %q, want %q", line, got, tt.connection)
			}
			length, _ := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
			_, _ = io.CopyN(io.Discard, in, length)
			rest, _ := io.ReadAll(in)
			if smuggled.Load() != tt.served || (len(rest) > 0) != (tt.served > 0) {
				t.Errorf("%d requests served behind it, and %q", smuggled.Load(), rest)
			}
		})
	}
}

// A handshake that announces a body and sends none is answered at once.
func TestRefusedHandshakeDoesNotWaitForABody(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(refusing(new(atomic.Int32)))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, handshakeText+"Content-Length: 5\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 403 {
		t.Errorf("%v, %v", resp, err)
	}
}

// HTTP/2 has neither a Connection nor an Upgrade field (RFC 9113 §8.2.2).
func TestRefuseOverHTTP2(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(refusing(new(atomic.Int32)))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	for _, path := range []string{"/ws", "/version", "/ws"} {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.Header["Connection"] != nil || resp.Header["Upgrade"] != nil {
			t.Errorf("%s: %s %s, %v", path, resp.Proto, resp.Status, resp.Header)
		}
	}
	// A recorder shows the fields that the handler sets, before net/http removes any.
	for _, header := range [][]string{{"Upgrade", "websocket"}, nil} {
		rec := httptest.NewRecorder()
		r := requestWith("GET", "/version", header...)
		r.ProtoMajor, r.TLS = 2, &tls.ConnectionState{}
		refusing(new(atomic.Int32)).ServeHTTP(rec, r)
		if got := rec.Result().Header; rec.Code != 426 || got["Connection"] != nil || got["Upgrade"] != nil {
			t.Errorf("%v", got)
		}
	}
}
