package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/securews/securews/internal/needed"
	"github.com/securews/securews/internal/redisserver"
)

func startRedis(t *testing.T) *redisserver.Server {
	t.Helper()
	needed.Program(t, "redis-server", redisserver.Install)
	server, err := redisserver.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// nodes are two processes of the chat behind one proxy, on one Redis.
type nodes struct {
	t         *testing.T
	origin    string // of the proxy
	passwords map[string]string
	redis     *redisserver.Server
}

// choice is the header by which these tests choose a node. Without it, the proxy takes A.
const choice = "X-Node"

func startNodes(t *testing.T) *nodes {
	t.Helper()
	n := &nodes{t: t, redis: startRedis(t)}
	behind := map[string]*url.URL{}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		to := behind[pr.In.Header.Get(choice)]
		if to == nil {
			to = behind["A"]
		}
		pr.SetURL(to)
		pr.Out.Host = pr.In.Host
		pr.SetXForwarded()
		pr.Out.Header.Del("X-Forwarded-Host")
	}})
	t.Cleanup(front.Close)
	n.origin = "https://localhost:" + front.URL[strings.LastIndexByte(front.URL, ':')+1:]
	secret := filepath.Join(t.TempDir(), "secret")
	for _, name := range []string{"A", "B"} {
		p := startChat(t, "-behind", "127.0.0.1", "-origin", n.origin, "-redis", n.redis.Addr, "-secret", secret)
		behind[name] = &url.URL{Scheme: "http", Host: p.listening}
		if n.passwords != nil && !maps.Equal(n.passwords, p.passwords) {
			t.Fatalf("the nodes have different passwords: %v and %v", n.passwords, p.passwords)
		}
		n.passwords = p.passwords
	}
	return n
}

// signIn signs in on A, and returns the header of the page.
func (n *nodes) signIn(user string) http.Header {
	n.t.Helper()
	return http.Header{"Cookie": {signIn(n.t, insecure(), n.origin, user, n.passwords[user])}, "Origin": {n.origin}}
}

// ask sends a request to a node.
func (n *nodes) ask(node, method, path, body string, h http.Header) (status int, answer map[string]any) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, n.origin+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header = h.Clone()
	r.Header.Set(choice, node)
	r.Header.Set("Content-Type", "application/json")
	res, err := insecure().Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_ = json.NewDecoder(res.Body).Decode(&answer)
	return res.StatusCode, answer
}

// open opens a socket on a node, in the lobby.
func (n *nodes) open(name, node, path string, h http.Header, subprotocols ...string) opened {
	n.t.Helper()
	h = h.Clone()
	h.Set(choice, node)
	c, res, err := websocket.Dial(n.t.Context(), "wss"+strings.TrimPrefix(n.origin, "https")+path, &websocket.DialOptions{
		HTTPClient: insecure(), HTTPHeader: h, Subprotocols: subprotocols,
	})
	if err != nil {
		n.t.Fatalf("%s: %v %v", name, err, res)
	}
	n.t.Cleanup(func() { _ = c.CloseNow() })
	o := opened{name, c}
	n.write(o, `{"type":"join","room":"lobby"}`)
	n.read(o, "joined")
	return o
}

func (n *nodes) write(o opened, text string) {
	n.t.Helper()
	if err := o.Write(n.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		n.t.Fatalf("%s: %v", o.name, err)
	}
}

// read returns the next message of the type.
func (n *nodes) read(o opened, typ string) (m struct {
	Type, From, Text, Reason string
	ID                       int64
},
) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	for m.Type != typ {
		_, p, err := o.Read(ctx)
		if err != nil {
			n.t.Fatalf("%s: no %q: %v", o.name, typ, err)
		}
		m.Type = ""
		if err := json.Unmarshal(p, &m); err != nil {
			n.t.Fatal(err)
		}
	}
	return m
}

// ended waits for the end of sockets that may have messages before it.
func (n *nodes) ended(open []opened, want string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	for _, o := range open {
		var err error
		for err == nil {
			_, _, err = o.Read(ctx)
		}
		if e := endingOf(err); e.reason != want || e.code != 3000 {
			n.t.Errorf("%s: %v, want 3000 %s", o.name, err, want)
		}
	}
}

// everyWay opens a socket on B by each credential that A has given.
func (n *nodes) everyWay(page http.Header) (open []opened, native http.Header) {
	n.t.Helper()
	_, token := n.ask("A", "POST", "/api/token", "", page)
	text, _ := token["access_token"].(string)
	native = http.Header{"Authorization": {"Bearer " + text}}
	_, ticket := n.ask("A", "POST", "/ticket", "", page)
	text, _ = ticket["subprotocol"].(string)
	return []opened{
		n.open("the cookie", "B", wsPath, page),
		n.open("a token of A", "B", wsPath, native),
		n.open("a ticket of A", "B", socketPath, http.Header{"Origin": {n.origin}}, subprotocol, text),
	}, native
}

// ASVS 7.4.1, 8.3.2: nodes of the chat share sessions, tokens, tickets, roles and messages.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	n := startNodes(t)
	alice, bob := n.signIn("alice"), n.signIn("bob")

	open, native := n.everyWay(bob)
	here := n.open("alice", "A", wsPath, alice)
	for i, to := range []opened{here, open[0], here} {
		from := open[0]
		if i == 1 {
			from = here
		}
		n.write(from, `{"type":"say","text":"hello"}`)
		if m := n.read(to, "said"); m.Text != "hello" || m.ID != int64(i+1) {
			t.Errorf("message %d: %+v", i+1, m)
		}
		if i == 0 {
			n.read(open[0], "said") // its own
		}
		if i == 1 {
			n.read(here, "said")
		}
	}

	if status, _ := n.ask("A", "PUT", "/api/members/bob", `{"member":false}`, alice); status != 204 {
		t.Fatalf("a change of roles: %d", status)
	}
	n.ended(open, "reauth")
	for what, h := range map[string]http.Header{"the cookie": bob, "the token": native} {
		h = h.Clone()
		h.Set(choice, "B")
		if _, res, err := websocket.Dial(t.Context(), "wss"+n.origin[len("https"):]+wsPath,
			&websocket.DialOptions{HTTPClient: insecure(), HTTPHeader: h}); err == nil || res.StatusCode != 403 {
			t.Errorf("%s of an account that is not a member opens a socket on B: %v", what, err)
		}
	}
	if status, _ := n.ask("A", "PUT", "/api/members/bob", `{"member":true}`, alice); status != 204 {
		t.Fatalf("a change of roles: %d", status)
	}

	open, native = n.everyWay(bob)
	if status, _ := n.ask("A", "POST", "/logout", "", bob); status != 204 {
		t.Fatalf("a logout: %d", status)
	}
	n.ended(open, "revoked")
	for what, h := range map[string]http.Header{"the cookie": bob, "the token": native} {
		if status, _ := n.ask("B", "GET", "/api/me", "", h); status != 401 {
			t.Errorf("%s on B after the logout: %d", what, status)
		}
	}

	if status, _ := n.ask("B", "GET", "/ready", "", http.Header{}); status != 200 {
		t.Errorf("B is not ready: %d", status)
	}
	n.redis.Kill()
	n.write(here, `{"type":"say","text":"is anyone here?"}`)
	if m := n.read(here, "refused"); m.Reason != "unavailable" {
		t.Errorf("a message without Redis: %+v", m)
	}
	if status, answer := n.ask("B", "GET", "/ready", "", http.Header{}); status != 503 {
		t.Errorf("B is ready without Redis: %d %v", status, answer)
	}
	if status, answer := n.ask("B", "GET", "/api/me", "", alice); status != 503 || answer["reason"] != "unavailable" {
		t.Errorf("a request without Redis: %d %v", status, answer)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	made, err := loadSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*secret{again, nil} {
		p, _ := made.password("alice")
		q, _ := s.password("alice")
		if (p == q) != (s == again) {
			t.Errorf("passwords %q and %q", p, q)
		}
	}
	other := filepath.Join(t.TempDir(), "secret")
	for name, write := range map[string]func() error{
		"chmod 600": func() error { return os.Chmod(path, 0o644) },
		"remove it": func() error { return os.WriteFile(other, []byte("c2hvcnQ=\n"), 0o600) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		file := path
		if name == "remove it" {
			file = other
		}
		if _, err := loadSecret(file); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
