package session_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

// upgraders echo until the socket closes, and report the error of the upgrade. The module
// internal/interop has the same tests with gorilla.
var upgraders = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"coder": func(w http.ResponseWriter, r *http.Request) error {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return err
		}
		defer func() { _ = c.CloseNow() }()
		for {
			typ, msg, err := c.Read(context.Background())
			if err != nil {
				return nil
			}
			_ = c.Write(context.Background(), typ, msg)
		}
	},
	"a handler that writes the 101 to the connection": func(w http.ResponseWriter, r *http.Request) error {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
		for err == nil {
			err = echoFrame(conn, buffered.Reader)
		}
		return nil
	},
}

// echoFrame sends a frame of at most 125 bytes back (RFC 6455 §5.2). A close frame is an error,
// once it is sent back.
func echoFrame(w io.Writer, r io.Reader) error {
	var head [6]byte // with the mask of a client
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	frame := append(head[:2:2], make([]byte, head[1]&0x7f)...)
	if _, err := io.ReadFull(r, frame[2:]); err != nil {
		return err
	}
	for i := range frame[2:] {
		frame[2+i] ^= head[2+i%4]
	}
	frame[1] &= 0x7f
	if _, err := w.Write(frame); err != nil {
		return err
	}
	if head[0] == 0x88 {
		return io.EOF
	}
	return nil
}

// site is an app with a socket at /ws, over TLS.
type site struct {
	*httptest.Server
	jar      *cookiejar.Jar
	mu       sync.Mutex
	upgraded int
	ended    chan error // one for each handler of /ws that returned
	late     error      // of a Put after the socket's end
}

func newSite(t *testing.T, m *session.Manager, upgrade func(http.ResponseWriter, *http.Request) error) *site {
	t.Helper()
	s := &site{ended: make(chan error, 8)}
	auth, err := middleware.NewAuth(m)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", app(t, m))
	socket := auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.upgraded++
		s.mu.Unlock()
		err := upgrade(w, r)
		s.mu.Lock()
		s.late = note.Put(m.Values(r.Context()), "from the socket")
		s.mu.Unlock()
		s.ended <- err
	}))
	mux.Handle("/ws", m.Handler(socket))
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	s.jar, _ = cookiejar.New(nil)
	s.Client().Jar = s.jar
	return s
}

func (s *site) get(t *testing.T, path string) int {
	t.Helper()
	res, err := s.Client().Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (s *site) dial(t *testing.T) (*coder.Conn, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return coder.Dial(ctx, "wss"+strings.TrimPrefix(s.URL, "https")+"/ws", &coder.DialOptions{
		HTTPClient: &http.Client{
			Jar: s.jar,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
			}},
		},
		HTTPHeader: http.Header{"Origin": {s.URL}},
	})
}

// A logout during the socket's life stays a logout when the socket closes, hours
// after the idle time-out was last due or not. scs.LoadAndSave fails this with
// handlers that write the 101 to the connection.
func TestClosingSocketBringsNoSessionBack(t *testing.T) {
	for name, upgrade := range upgraders {
		t.Run(name, func(t *testing.T) {
			store := newShakyStore()
			m := newManager(t, session.Config{Store: store, Idle: 10 * time.Second}) // extended each second
			s := newSite(t, m, upgrade)
			if status := s.get(t, "/login?u=alice"); status != 200 {
				t.Fatal(status)
			}
			c, _, err := s.dial(t)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			echo(t, c)
			keep := s.jar.Cookies(mustURL(t, s.URL))
			if status := s.get(t, "/logout"); status != 200 {
				t.Fatal(status)
			}
			echo(t, c) // this package closes no sockets: ws does, by the revocation
			_, before := store.counts()
			_ = c.Close(coder.StatusNormalClosure, "")
			if err := <-s.ended; err != nil {
				t.Fatal(err)
			}
			if _, after := store.counts(); after != before {
				t.Errorf("the socket wrote %d times", after-before)
			}
			if n := store.records(t); n != 0 {
				t.Errorf("%d records are back", n)
			}
			s.jar.SetCookies(mustURL(t, s.URL), keep)
			if status := s.get(t, "/me"); status != 401 {
				t.Errorf("the dead session answers %d", status)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !errors.Is(s.late, session.ErrHandshake) {
				t.Errorf("a Put after the 101 is %v, want ErrHandshake: it would be lost", s.late)
			}
		})
	}
}

// A store that is down answers the handshake with 503, and the server does not
// believe in an upgrade.
func TestStoreDownAtTheHandshake(t *testing.T) {
	for name, upgrade := range upgraders {
		t.Run(name, func(t *testing.T) {
			store := newShakyStore()
			s := newSite(t, newManager(t, session.Config{Store: store}), upgrade)
			s.get(t, "/login?u=alice")
			store.down()
			_, res, err := s.dial(t)
			if err == nil || res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
				t.Fatalf("the handshake: %v %v", res, err)
			}
			if s.upgraded != 0 {
				t.Error("the handler was reached")
			}
			store.up()
			c, _, err := s.dial(t)
			if err != nil {
				t.Fatal(err)
			}
			echo(t, c)
			_ = c.CloseNow()
			<-s.ended
		})
	}
}

// The store goes down between load and 101: nothing asks it, so that both sides
// believe the same.
func TestStoreDownDuringTheUpgrade(t *testing.T) {
	for name, upgrade := range upgraders {
		t.Run(name, func(t *testing.T) {
			store := newShakyStore()
			s := newSite(t, newManager(t, session.Config{Store: store, Idle: time.Second}),
				func(w http.ResponseWriter, r *http.Request) error {
					store.down()
					return upgrade(w, r)
				})
			s.get(t, "/login?u=alice")
			c, res, err := s.dial(t)
			if err != nil || res.StatusCode != 101 || res.Header["Set-Cookie"] != nil {
				t.Fatalf("the handshake: %v %v", res, err)
			}
			echo(t, c)
			_ = c.CloseNow()
			<-s.ended
		})
	}
}

// A handshake writes neither cookie nor record, even if an extension is due or the
// handler tries to.
func TestHandshakeOnlyLoads(t *testing.T) {
	store := newShakyStore()
	m := newManager(t, session.Config{Store: store})
	b := newBrowser(t, app(t, m))
	b.get("/login?u=alice")
	b.get("/put?v=kept")
	_, before := store.counts()
	rec := httptest.NewRecorder()
	reached := false
	b.h = m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached = true
		ctx := r.Context()
		if w != http.ResponseWriter(rec) {
			t.Errorf("the ResponseWriter is hidden behind a %T", w)
		}
		if v, ok, err := note.Get(m.Values(ctx)); v != "kept" || !ok || err != nil {
			t.Errorf("values are not loaded: %q %v %v", v, ok, err)
		}
		for name, err := range map[string]error{
			"Put": note.Put(m.Values(ctx), "x"), "Delete": note.Delete(m.Values(ctx)), "Logout": m.Logout(ctx),
			"Login": m.Login(ctx, session.Identity{Subject: "bob"}), "LogoutOthers": m.LogoutOthers(ctx),
		} {
			if !errors.Is(err, session.ErrHandshake) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}))
	r := httptest.NewRequest("GET", "https://app.example/ws", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.AddCookie(&http.Cookie{Name: hostCookie, Value: b.cookies[hostCookie]})
	b.h.ServeHTTP(rec, r)
	if got := rec.Header().Get("Vary"); got != "Cookie" { // RFC 9111 §4.1: this route has ignored Upgrade
		t.Errorf("Vary: %q, want Cookie", got)
	}
	if _, after := store.counts(); !reached || after != before || rec.Header()["Set-Cookie"] != nil {
		t.Errorf("reached %v, %d writes, header %v", reached, after-before, rec.Header())
	}
}

func echo(t *testing.T, c *coder.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Write(ctx, coder.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := c.Read(ctx); err != nil || string(msg) != "hello" {
		t.Fatalf("echo: %s %v", msg, err)
	}
}
