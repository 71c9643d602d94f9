package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/middleware/live"
	"github.com/securews/securews/ws"
	"github.com/securews/securews/ws/wstest"
)

const audience = "chat.example"

// named authenticates by a header.
type named struct{}

func (named) Ambient() bool { return false }

func (named) Authenticate(r *http.Request) (middleware.Principal, error) {
	return middleware.Principal{Issuer: "test", Subject: r.Header.Get("X-User"), Method: "test"}, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lab is one connection with an attacker in between. The server sends "s0", "s1", "s2", the
// client "c0", "c1", "c2" and a close record; both read until it ends.
type lab struct {
	keys       []Key
	server     Config
	client     ClientConfig
	ws         ws.Config
	offered    []string // in place of the client's subprotocols
	up, down   func(i int, m message) []message
	quiet      bool // the client sends nothing
	serverTask func(context.Context, *Conn) error
	clientTask func(context.Context, *Conn) error
}

type message struct {
	typ websocket.MessageType
	p   []byte
}

// seen records the result at each end.
type seen struct {
	server, client         []string
	serverErr, clientErr   error
	serverCode, clientCode ws.CloseError // of the connection underneath
}

func day(n int) time.Time { return time.Now().Add(time.Duration(n) * 24 * time.Hour) }

// run runs the lab in its own synctest bubble.
func (l lab) run(t *testing.T) (s seen) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { s = l.connect(t) })
	return s
}

func (l *lab) fill() {
	if l.keys == nil {
		l.keys = []Key{must(GenerateKey(X25519, day(30)))}
	}
	if l.server.Keys == nil {
		l.server.Keys = must(NewKeyring(l.keys...))
	}
	if l.server.Audience == "" {
		l.server.Audience = audience
	}
	if l.client.Keys == nil {
		for _, k := range l.keys {
			l.client.Keys = append(l.client.Keys, k.Public())
		}
	}
	if l.client.Audience == "" {
		l.client.Audience = audience
	}
	if l.client.App == "" {
		l.client.App = "chat"
	}
	if l.client.Origin == "" {
		l.client.Origin = wstest.URL
	}
}

func (l lab) connect(t *testing.T) (s seen) {
	t.Helper()
	l.fill()
	server, client := must(NewServer(l.server)), must(NewClient(l.client))
	cfg := l.ws
	cfg.Origins = must(middleware.NewOriginPolicy(middleware.OriginConfig{Allow: []string{wstest.URL, "https://other.example"}}))
	cfg.Auth = must(middleware.NewAuth(named{}))
	cfg.Log = slog.New(slog.DiscardHandler)
	if cfg.Subprotocols == nil {
		cfg.Subprotocols = server.Subprotocols("chat", "other")
	}
	done := make(chan struct{})
	cfg.Serve = func(ctx context.Context, raw *ws.Conn) (err error) {
		defer close(done)
		defer func() {
			if s.serverErr = err; err != nil {
				s.serverCode = closed(raw.Read())
			}
		}()
		err = server.Serve(func(ctx context.Context, c *Conn) error {
			if l.serverTask != nil {
				return l.serverTask(ctx, c)
			}
			var err error
			s.server, err = talk(c, "s")
			return err
		})(ctx, raw)
		return err
	}
	cfg.Live = must(live.New(live.Config{}))
	n := wstest.NewServer(t, must(ws.New(cfg)))
	offered := l.offered
	if offered == nil {
		offered = client.Subprotocols()
	}
	raw, _, err := n.Dial(t.Context(), "/", &websocket.DialOptions{
		Subprotocols: offered, HTTPHeader: http.Header{"Origin": {wstest.URL}, "X-User": {"alice"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	raw.SetReadLimit(1 << 20)
	m := &between{Messages: Dialed(t.Context(), raw), up: l.up, down: l.down}
	defer func() {
		<-done
		for m.err == nil {
			_, _, _ = m.Read()
		}
		s.clientCode = closed(0, nil, m.err)
		_ = raw.CloseNow()
	}()
	if l.quiet {
		s.clientErr = drain(m)
		return s
	}
	c, err := client.Connect(t.Context(), m)
	if err != nil {
		s.clientErr = err
		return s
	}
	if l.clientTask != nil {
		s.clientErr = l.clientTask(t.Context(), c)
		return s
	}
	s.client, s.clientErr = talk(c, "c")
	return s
}

func drain(m Messages) error {
	for {
		if _, _, err := m.Read(); err != nil {
			return err
		}
	}
}

// talk sends three messages and reads until the end, or until it reads "bye".
func talk(c *Conn, who string) (got []string, err error) {
	for _, n := range []string{"0", "1", "2"} {
		if err := c.Write(websocket.MessageText, []byte(who+n)); err != nil {
			break
		}
	}
	for {
		_, p, err := c.Read()
		if err != nil {
			return got, err
		}
		if got = append(got, string(p)); len(got) == 3 && who == "c" {
			_ = c.Close(websocket.StatusNormalClosure, "")
		}
	}
}

// closed is how a connection underneath has ended.
func closed(_ websocket.MessageType, _ []byte, err error) ws.CloseError {
	if err == nil {
		return ws.CloseError{}
	}
	end := ending(err, io.EOF)
	return ws.CloseError{Code: end.Code, Reason: end.Reason}
}

// between is the client's connection with an attacker in between, which can change, drop and
// insert messages in either direction. The hellos are number 0.
type between struct {
	Messages
	up, down func(i int, m message) []message

	mu      sync.Mutex
	ups     int
	downs   int
	pending []message
	err     error // the first read error
}

func (b *between) Write(typ websocket.MessageType, p []byte) error {
	b.mu.Lock()
	out := []message{{typ, slices.Clone(p)}}
	if b.up != nil {
		out = b.up(b.ups, out[0])
	}
	b.ups++
	b.mu.Unlock()
	for _, m := range out {
		if err := b.Messages.Write(m.typ, m.p); err != nil {
			return err
		}
	}
	return nil
}

// coder's Close reads the peer's close frame, and returns an error if that has another code.
func (b *between) Close(code websocket.StatusCode, reason string) error {
	err := b.Messages.Close(code, reason)
	if b.err == nil {
		b.err = err
	}
	return err
}

func (b *between) Read() (websocket.MessageType, []byte, error) {
	for len(b.pending) == 0 {
		typ, p, err := b.Messages.Read()
		if err != nil {
			if b.err == nil {
				b.err = err
			}
			return 0, nil, err
		}
		in := []message{{typ, slices.Clone(p)}}
		if b.down != nil {
			in = b.down(b.downs, in[0])
		}
		b.downs++
		b.pending = append(b.pending, in...)
	}
	m := b.pending[0]
	b.pending = b.pending[1:]
	return m.typ, m.p, nil
}

// at changes message number n and lets the others through.
func at(n int, change func(message) []message) func(int, message) []message {
	return func(i int, m message) []message {
		if i == n {
			return change(m)
		}
		return []message{m}
	}
}

// edit is a change to a message's bytes.
func edit(f func(p []byte) []byte) func(message) []message {
	return func(m message) []message { return []message{{m.typ, f(m.p)}} }
}

var decryptCode = ws.CloseError{Code: 1008, Reason: "decrypt"}

// wantServerRefusal checks the result of every attack on the client's messages: the server
// has read only those before it, closes with 1008 `decrypt`, and sends nothing else.
func (s seen) wantServerRefusal(t *testing.T, read ...string) {
	t.Helper()
	if s.serverErr != ErrDecrypt {
		t.Errorf("the server's error is %v, want ErrDecrypt and nothing else", s.serverErr)
	}
	if s.clientCode != decryptCode {
		t.Errorf("the client saw close %d %q, want 1008 decrypt", s.clientCode.Code, s.clientCode.Reason)
	}
	if !slices.Equal(s.server, read) {
		t.Errorf("the server read %q, want %q", s.server, read)
	}
}

// wantClientRefusal is the same for the server's messages.
func (s seen) wantClientRefusal(t *testing.T, read ...string) {
	t.Helper()
	if s.clientErr != ErrDecrypt {
		t.Errorf("the client's error is %v, want ErrDecrypt and nothing else", s.clientErr)
	}
	if s.serverCode != decryptCode {
		t.Errorf("the server saw close %d %q, want 1008 decrypt", s.serverCode.Code, s.serverCode.Reason)
	}
	if !slices.Equal(s.client, read) {
		t.Errorf("the client read %q, want %q", s.client, read)
	}
}

// wantRefusal is the same for a hello: both ends see the same close, whichever detected the
// attack, and neither has read a message.
func (s seen) wantRefusal(t *testing.T) {
	t.Helper()
	if s.serverErr == ErrDecrypt {
		s.wantServerRefusal(t)
	} else {
		s.wantClientRefusal(t)
	}
	if len(s.server)+len(s.client) > 0 {
		t.Errorf("read %q and %q", s.server, s.client)
	}
}

func (s seen) wantSuccess(t *testing.T) {
	t.Helper()
	if !slices.Equal(s.server, []string{"c0", "c1", "c2"}) || !slices.Equal(s.client, []string{"s0", "s1", "s2"}) {
		t.Errorf("read %q and %q", s.server, s.client)
	}
	if !errors.Is(s.serverErr, io.EOF) || errors.Is(s.serverErr, io.ErrUnexpectedEOF) {
		t.Errorf("the server's error is %v, want io.EOF", s.serverErr)
	}
}

// pipe is a connection in memory without any WebSocket.
type pipe struct {
	in, out     chan message
	sub         string
	over        chan struct{}
	once        *sync.Once
	code        *ws.CloseError // set before over is closed
	failWrites  error
	writeBlocks chan struct{}
}

func newPipe(sub string) (a, b *pipe) {
	up, down := make(chan message, 64), make(chan message, 64)
	over, once, code := make(chan struct{}), new(sync.Once), new(ws.CloseError)
	a = &pipe{in: down, out: up, sub: sub, over: over, once: once, code: code}
	b = &pipe{in: up, out: down, sub: sub, over: over, once: once, code: code}
	return a, b
}

func (p *pipe) Subprotocol() string { return p.sub }

func (p *pipe) Read() (websocket.MessageType, []byte, error) {
	select {
	case m := <-p.in:
		return m.typ, m.p, nil
	default:
	}
	select {
	case m := <-p.in:
		return m.typ, m.p, nil
	case <-p.over:
		return 0, nil, &ws.CloseError{Code: p.code.Code, Reason: p.code.Reason, Err: io.EOF}
	}
}

func (p *pipe) Write(typ websocket.MessageType, b []byte) error {
	if p.writeBlocks != nil {
		select {
		case <-p.writeBlocks:
		case <-p.over:
		}
	}
	select {
	case <-p.over:
		return p.code
	default:
	}
	if p.failWrites != nil {
		return p.failWrites
	}
	select {
	case p.out <- message{typ, bytes.Clone(b)}:
		return nil
	case <-p.over:
		return p.code
	}
}

func (p *pipe) Close(code websocket.StatusCode, reason string) error {
	p.once.Do(func() {
		*p.code = ws.CloseError{Code: code, Reason: reason}
		close(p.over)
	})
	return nil
}
