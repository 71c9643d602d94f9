package stores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/internal/testprocess"
)

// patience bounds one step of a test. The rechecks of a server are a second apart.
const patience = 30 * time.Second

// process is a server of its own.
type process struct {
	*testprocess.Process
	t      testing.TB
	issuer *testissuer.Issuer
}

func start(t testing.TB, address string, i *testissuer.Issuer) *process {
	t.Helper()
	return &process{testprocess.Start(t, storeVariable+"="+address, keysVariable+"="+i.KeySet()), t, i}
}

// credential is a cookie or a token, under one header.
type credential struct{ header, value string }

// do sends a request, and returns its answer with the body. A 503 of a busy machine refuses,
// too, but does not tell why: it is asked again.
func (p *process) do(method, path string, c credential) (answer *http.Response, body []byte) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		answer, body = p.doOnce(method, path, c)
		if answer.StatusCode != http.StatusServiceUnavailable || time.Now().After(end) {
			return answer, body
		}
	}
}

func (p *process) doOnce(method, path string, c credential) (*http.Response, []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.Origin+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Origin", p.Origin)
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer, body
}

// act posts, and returns the new cookie, or c if there is none.
func (p *process) act(path string, c credential) credential {
	p.t.Helper()
	answer, body := p.do(http.MethodPost, path, c)
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("POST %s: %s %s", path, answer.Status, body)
	}
	for _, cookie := range answer.Cookies() {
		c = credential{"Cookie", cookie.Name + "=" + cookie.Value}
	}
	return c
}

// me asks who c is, and returns the status and the reason of a refusal.
func (p *process) me(c credential) (who me, answer string) {
	p.t.Helper()
	res, body := p.do(http.MethodGet, "/me", c)
	var refusal struct{ Reason string }
	_ = json.Unmarshal(body, &refusal)
	_ = json.Unmarshal(body, &who)
	return who, strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", refusal.Reason))
}

// dial opens a socket; the status is that of a refusal. A 503 is asked again.
func (p *process) dial(c credential) (socket *websocket.Conn, status int) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		socket, status = p.dialOnce(c)
		if status != http.StatusServiceUnavailable || time.Now().After(end) {
			return socket, status
		}
	}
}

func (p *process) dialOnce(c credential) (socket *websocket.Conn, status int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h := http.Header{"Origin": {p.Origin}}
	h.Set(c.header, c.value)
	socket, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.Origin, "http")+"/ws", &websocket.DialOptions{HTTPHeader: h})
	if answer == nil {
		p.t.Fatal(err)
	}
	return socket, answer.StatusCode
}

// connect opens a socket and has it echo.
func (p *process) connect(c credential) *websocket.Conn {
	p.t.Helper()
	socket, status := p.dial(c)
	if socket == nil {
		p.t.Fatalf("the handshake: %d", status)
	}
	p.t.Cleanup(func() { _ = socket.CloseNow() })
	echoes(p.t, socket)
	return socket
}

func echoes(t testing.TB, socket *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := socket.Read(ctx); err != nil || string(text) != "hello" {
		t.Fatalf("echoed %q: %v", text, err)
	}
}

// ends returns how the socket ends.
func ends(socket *websocket.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := socket.Read(ctx)
	if f, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprint(int(f.Code), " ", f.Reason)
	}
	return fmt.Sprint("no close frame: ", err)
}

// token is one of the subject; sid may be empty.
func token(i *testissuer.Issuer, subject, sid string) credential {
	claims := map[string]any{}
	if sid != "" {
		claims["sid"] = sid
	}
	return credential{"Authorization", "Bearer " + i.Token(subject, claims)}
}
