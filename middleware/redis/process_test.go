package redis_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/testissuer"
	"github.com/securews/securews/internal/testprocess"
)

// patience bounds one step of a test.
const patience = 30 * time.Second

// process is a node.
type process struct {
	*testprocess.Process
	t testing.TB
}

func startNode(t testing.TB, set settings) *process {
	t.Helper()
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{testprocess.Start(t, settingsVariable+"="+string(text)), t}
	p.awaitReady()
	return p
}

// awaitReady waits as a load balancer does.
func (p *process) awaitReady() {
	p.t.Helper()
	eventually(p.t, "the node is ready", func() bool {
		answer, _ := p.do(http.MethodGet, "/ready", credential{})
		return answer.StatusCode == http.StatusOK
	})
}

// credential is a cookie or a token, under one header.
type credential struct{ header, value string }

// bearerOf is a token of the user.
func bearerOf(k *testissuer.Issuer, user string) credential {
	return credential{"Authorization", "Bearer " + k.Token(user, nil)}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// do sends a request, and returns its answer with the body.
func (p *process) do(method, path string, c credential) (*http.Response, []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.Origin+path, nil)
	if err != nil {
		p.t.Error(err)
		return &http.Response{}, nil
	}
	r.Header.Set("Origin", p.Origin)
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	answer, err := client.Do(r)
	if err != nil {
		p.t.Error(err)
		return &http.Response{}, nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, _ := io.ReadAll(answer.Body)
	return answer, body
}

// act posts, and returns the new cookie, or c if there is none.
func (p *process) act(path string, c credential) credential {
	p.t.Helper()
	answer, body := p.do(http.MethodPost, path, c)
	if answer.StatusCode != http.StatusOK {
		p.t.Errorf("POST %s: %d %s", path, answer.StatusCode, body)
	}
	for _, cookie := range answer.Cookies() {
		c = credential{"Cookie", cookie.Name + "=" + cookie.Value}
	}
	return c
}

func (p *process) login(user string) credential {
	p.t.Helper()
	return p.act("/login?user="+user, credential{})
}

// me returns the status and the reason of a request with c.
func (p *process) me(c credential) string {
	p.t.Helper()
	answer, body := p.do(http.MethodGet, "/me", c)
	var refusal struct{ Reason string }
	_ = json.Unmarshal(body, &refusal)
	return strings.TrimSpace(fmt.Sprint(answer.StatusCode, " ", refusal.Reason))
}

// dial opens a socket; the answer is that of a refusal.
func (p *process) dial(path string, c credential, subprotocols ...string) (*websocket.Conn, *http.Response) {
	p.t.Helper()
	return p.dialFrom(p.Origin, path, c, subprotocols...)
}

// dialFrom dials as a page of that origin.
func (p *process) dialFrom(origin, path string, c credential, subprotocols ...string) (*websocket.Conn, *http.Response) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h := http.Header{"Origin": {origin}}
	if c.header != "" {
		h.Set(c.header, c.value)
	}
	socket, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.Origin, "http")+path,
		&websocket.DialOptions{HTTPHeader: h, Subprotocols: subprotocols})
	if answer == nil {
		p.t.Error(err)
		answer = &http.Response{}
	}
	return socket, answer
}

// open opens a socket and has it echo.
func (p *process) open(c credential) *websocket.Conn {
	p.t.Helper()
	socket, answer := p.dial("/ws", c)
	if socket == nil {
		p.t.Fatalf("the handshake: %d", answer.StatusCode)
	}
	p.t.Cleanup(func() { _ = socket.CloseNow() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		p.t.Fatal(err)
	}
	if _, text, err := socket.Read(ctx); err != nil || string(text) != "hello" {
		p.t.Fatalf("echoed %q: %v", text, err)
	}
	return socket
}

// ended returns how the socket ends.
func ended(socket *websocket.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := socket.Read(ctx)
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprint(int(closed.Code), " ", closed.Reason)
	}
	return fmt.Sprint(err)
}

// openStream opens an event stream, and returns a channel with the text of its end.
func (p *process) openStream(c credential) <-chan string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.Origin+"/stream", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set(c.header, c.value)
	r.Header.Set("Accept", "text/event-stream")
	answer, err := client.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatal(err, answer)
	}
	p.t.Cleanup(func() { _ = answer.Body.Close() })
	body := bufio.NewReader(answer.Body)
	if line, err := body.ReadString('\n'); err != nil {
		p.t.Fatal(line, err)
	}
	end := make(chan string, 1)
	go func() {
		rest, _ := io.ReadAll(body)
		end <- string(bytes.TrimSpace(rest))
	}()
	return end
}

// between returns the text between two others.
func between(s, left, right string) string {
	_, s, _ = strings.Cut(s, left)
	s, _, _ = strings.Cut(s, right)
	return s
}

// count waits for every value, and returns how often each came.
func count[V any](values []V, wait func(V) string) map[string]int {
	var mu sync.Mutex
	found := map[string]int{}
	var all sync.WaitGroup
	for _, v := range values {
		all.Go(func() {
			s := wait(v)
			mu.Lock()
			defer mu.Unlock()
			found[s]++
		})
	}
	all.Wait()
	return found
}
