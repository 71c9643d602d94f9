package interop

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/gorilla/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/session"
)

var errDown = errors.New("connection refused by the test")

// shakyStore is a store that can be down. It counts the writes.
type shakyStore struct {
	*memstore.MemStore
	mu     sync.Mutex
	down   bool
	writes int
}

func newShakyStore() *shakyStore { return &shakyStore{MemStore: memstore.NewWithCleanupInterval(0)} }

func (s *shakyStore) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *shakyStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *shakyStore) call(writes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes += writes
	if s.down {
		return errDown
	}
	return nil
}

func (s *shakyStore) Find(key string) ([]byte, bool, error) {
	if err := s.call(0); err != nil {
		return nil, false, err
	}
	return s.MemStore.Find(key)
}

func (s *shakyStore) Commit(key string, b []byte, expiry time.Time) error {
	if err := s.call(1); err != nil {
		return err
	}
	return s.MemStore.Commit(key, b, expiry)
}

func (s *shakyStore) Delete(key string) error {
	if err := s.call(1); err != nil {
		return err
	}
	return s.MemStore.Delete(key)
}

// records returns how many sessions the store holds.
func (s *shakyStore) records(t *testing.T) (n int) {
	t.Helper()
	all, err := s.All()
	must(t, err)
	for _, b := range all {
		if strings.HasPrefix(string(b), "wss") { // not one of the entries beside the records
			n++
		}
	}
	return n
}

const note = session.Key[string]("note")

// sessionSite is an application with sessions, and a socket of gorilla at /ws.
type sessionSite struct {
	*httptest.Server
	t        *testing.T
	cookie   string
	mu       sync.Mutex
	upgraded int
	late     error      // of a Put after the socket's end
	ended    chan error // of the upgrade, once its handler has returned
}

func newSessionSite(t *testing.T, cfg session.Config, upgrade http.HandlerFunc) *sessionSite {
	t.Helper()
	cfg.Log = quiet
	m, err := session.New(cfg)
	must(t, err)
	s := &sessionSite{t: t, ended: make(chan error, 8)}
	signedIn := auth(t, m)
	mux := http.NewServeMux()
	do := func(path string, fn func(r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(r); err != nil {
				middleware.Refuse(w, r, err)
			}
		})
	}
	do("/login", func(r *http.Request) error { return m.Login(r.Context(), session.Identity{Subject: "alice"}) })
	do("/logout", func(r *http.Request) error { return m.Logout(r.Context()) })
	mux.Handle("/me", signedIn.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.Handle("/ws", signedIn.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.upgraded++
		s.mu.Unlock()
		if upgrade != nil {
			upgrade(w, r)
		}
		err := echoUntilClosed(w, r)
		s.mu.Lock()
		s.late = note.Put(m.Values(r.Context()), "from the socket")
		s.mu.Unlock()
		s.ended <- err
	})))
	s.Server = httptest.NewTLSServer(m.Handler(mux))
	t.Cleanup(s.Close)
	return s
}

// echoUntilClosed returns the error of the upgrade.
func echoUntilClosed(w http.ResponseWriter, r *http.Request) error {
	c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for {
		typ, msg, err := c.ReadMessage()
		if err != nil {
			return nil
		}
		_ = c.WriteMessage(typ, msg)
	}
}

func (s *sessionSite) get(path string) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.URL+path, nil)
	must(s.t, err)
	r.Header.Set("Cookie", s.cookie)
	res, err := s.Client().Do(r)
	must(s.t, err)
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	if path == "/login" && len(res.Cookies()) == 1 {
		s.cookie = res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
	}
	return res.StatusCode
}

func (s *sessionSite) dial() (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{
		TLSClientConfig:  s.Client().Transport.(*http.Transport).TLSClientConfig.Clone(),
		HandshakeTimeout: patience,
	}
	d.TLSClientConfig.NextProtos = nil
	return d.DialContext(s.t.Context(), "wss"+strings.TrimPrefix(s.URL, "https")+"/ws",
		http.Header{"Origin": {s.URL}, "Cookie": {s.cookie}})
}

func echoed(c *websocket.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		return err
	}
	if _, msg, err := c.ReadMessage(); err != nil || string(msg) != "hello" {
		return fmt.Errorf("echo: %q %w", msg, err)
	}
	return nil
}

// A logout while the socket is open stays a logout when the socket closes, whether or not an
// extension of the idle time-out is due. scs.LoadAndSave fails this with gorilla.
func TestClosingSocketOfGorillaBringsNoSessionBack(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSessionSite(t, session.Config{Store: store, Idle: 10 * time.Second}, nil) // extended each second
	if status := s.get("/login"); status != 200 {
		t.Fatal(status)
	}
	c, _, err := s.dial()
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, echoed(c))
	if status := s.get("/logout"); status != 200 {
		t.Fatal(status)
	}
	must(t, echoed(c)) // package session closes no sockets: live does, by the revocation
	before := store.written()
	must(t, c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "")))
	must(t, received(t, "the handler's end", s.ended))
	if after := store.written(); after != before {
		t.Errorf("the socket wrote %d times", after-before)
	}
	if n := store.records(t); n != 0 {
		t.Errorf("%d records are back", n)
	}
	if status := s.get("/me"); status != 401 {
		t.Errorf("the ended session is answered with %d", status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(s.late, session.ErrHandshake) {
		t.Errorf("a Put after the 101 is %v, want ErrHandshake: it would be lost", s.late)
	}
}

// A store that is down answers the handshake with 503, before the handler is called.
func TestStoreDownAtTheHandshakeOfGorilla(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSessionSite(t, session.Config{Store: store}, nil)
	s.get("/login")
	store.setDown(true)
	_, res, err := s.dial()
	if err == nil || res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("the handshake: %v %v", res, err)
	}
	s.mu.Lock()
	if s.upgraded != 0 {
		t.Error("the handler was called")
	}
	s.mu.Unlock()
	store.setDown(false)
	c, _, err := s.dial()
	must(t, err)
	must(t, echoed(c))
	_ = c.Close()
	must(t, received(t, "the handler's end", s.ended))
}

// The store goes down between the load and the 101: nothing calls it, so that both sides
// agree on the upgrade.
func TestStoreDownDuringTheUpgradeOfGorilla(t *testing.T) {
	t.Parallel()
	store := newShakyStore()
	s := newSessionSite(t, session.Config{Store: store, Idle: time.Second},
		func(http.ResponseWriter, *http.Request) { store.setDown(true) })
	s.get("/login")
	c, res, err := s.dial()
	if err != nil || res.StatusCode != 101 || res.Header["Set-Cookie"] != nil {
		t.Fatalf("the handshake: %v %v", res, err)
	}
	must(t, echoed(c))
	_ = c.Close()
	must(t, received(t, "the handler's end", s.ended))
}
